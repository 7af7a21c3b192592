// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/snapshots.hpp"

#include "ktstr/introspect/kernel_layout.hpp"
#include "ktstr/introspect/symbols/kaslr.hpp"
#include "ktstr/kvm/x86_64/describe.hpp"
#include "ktstr/snapshot/compress_zstd.hpp"
#include "ktstr/snapshot/elf_core.hpp"
#include "ktstr/snapshot/file_sink.hpp"
#include "ktstr/snapshot/put_ram.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/mapping.hpp"
#include "support/problem.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ktstr::tool {

namespace {

nanos now() { return monotonic_clock{}.now(); }

/// What a writer says through its pipe at its end.
struct writer_result {
    std::uint32_t failed = 0; ///< errc; 0: the file is there.
    std::int32_t os_errno = 0;
    std::uint64_t value = 0;
    std::uint64_t pages = 0;
    std::int64_t at_ns = 0;
    char where[48] = {};
};

template <SnapshotSink Sink>
result<ram_counts> write_with(Sink sink, snapshot_header const& header, mmap_memory const& memory) {
    KTSTR_CHECK(sink.begin(header));
    KTSTR_TRY(auto const counts, put_ram(sink, memory));
    KTSTR_CHECK(sink.commit());
    return counts;
}

/// The child's life. It has a copy of everything and shares nothing with the machine but file descriptors.
[[noreturn]] void write_and_leave(int pipe, pid_t parent, snapshot_format format, std::string const& file,
                                  snapshot_header const& header, mmap_memory const& memory) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody would hear of the file
    if (::getppid() != parent)
        ::_exit(1);
    for (int const number : {SIGINT, SIGTERM, SIGHUP})
        ::signal(number, SIG_IGN); // the parent decides
    for (int const number : {SIGXFSZ, SIGPIPE})
        ::signal(number, SIG_IGN); // a file size limit is an error to report like a full disk
    ::setpriority(PRIO_PROCESS, 0, 10);
    auto const counts = format == snapshot_format::core
                            ? write_with(elf_core_sink(file), header, memory)
                            : write_with(basic_file_sink<zstd_chunks>(file), header, memory);
    writer_result said;
    if (counts) {
        said.pages = counts->put;
    } else {
        auto const& e = counts.error();
        said.failed = static_cast<std::uint32_t>(e.code);
        said.os_errno = e.os_errno;
        said.value = e.value;
        std::memcpy(said.where, e.where.data(), std::min(e.where.size(), sizeof said.where - 1));
    }
    said.at_ns = now().raw;
    static_cast<void>(write_all(pipe, std::as_bytes(std::span(&said, 1))));
    ::_exit(0);
}

std::string reason_of(error const& e) {
    auto text = fmt::format("{}: {}", e.where, message(e.code));
    if (e.os_errno != 0)
        text += fmt::format(" ({})", std::strerror(e.os_errno));
    return text;
}

} // namespace

std::string snapshot_taker::file_for(std::string_view tag) const {
    std::string name;
    for (char const c : tag.substr(0, 64))
        name.push_back((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                               (c == '.' && !name.empty())
                           ? c
                           : '_');
    return name + (wish_.format == snapshot_format::core ? ".core" : ".ktsnap");
}

std::string snapshot_taker::note_text(std::optional<wire::kernel_note> const& note) const {
    // The guest says where; every number in it is checked. An ELF note: three words, the name, the text.
    constexpr std::uint64_t most = 64 * KiB;
    if (!note || note->size < 24 || note->size > most)
        return {};
    std::string raw(note->size, '\0');
    if (!read_guest(machine_.runner->memory(), gpa{note->address}, std::as_writable_bytes(std::span(raw))))
        return {};
    std::array<std::uint32_t, 3> head{};
    std::memcpy(head.data(), raw.data(), sizeof head);
    auto const name = (std::uint64_t{head[0]} + 3) & ~std::uint64_t{3};
    if (head[0] != 11 || raw.compare(12, 10, "VMCOREINFO") != 0 || head[1] > note->size - 12 - name)
        return {};
    auto text = raw.substr(12 + name, head[1]);
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

kernel_place snapshot_taker::place_of(vcpu_record const& bsp) {
    if (!symbols_ && linked_)
        if (auto const slide = slide_from_lstar(*linked_, bsp.value("lstar"))) {
            symbols_.emplace(std::move(*linked_), *slide);
            linked_.reset();
        }
    if (!symbols_)
        return {};
    auto const layout = read_kernel_layout(*symbols_, machine_.runner->memory(),
                                           x86_page_tables::from_registers(bsp.value("cr3"), bsp.value("cr4")));
    if (!layout)
        return {};
    return {layout->text_virtual.raw, layout->text_physical.raw, layout->text_size.raw, layout->direct_map.raw};
}

nanos snapshot_taker::take(std::string_view cause, std::string_view tag, std::optional<wire::kernel_note> const& note) {
    auto& runner = *machine_.runner;
    if (!std::exchange(symbols_tried_, true)) { // tens of milliseconds that must not be frozen time
        if (auto const fd = unique_fd::open(vmlinux_.c_str(), O_RDONLY))
            if (auto const size = file_size(fd->get()))
                if (auto const file = mapping::map(*size, PROT_READ, MAP_PRIVATE, fd->get()))
                    if (auto table = decode_kallsyms(file->span()))
                        linked_.emplace(std::move(*table));
    }
    snapshot_taken out;
    out.tag = tag;
    out.cause = cause;
    std::array<int, 2> ends{-1, -1};
    bool const piped = ::pipe2(ends.data(), O_CLOEXEC) == 0;
    unique_fd from(ends[0]), to(ends[1]);
    pid_t child = -1;
    nanos frozen{};
    {
        freeze_options how;
        how.timeout = wish_.freeze_timeout;
        auto gate = runner.freeze(how);
        if (!gate) {
            out.requested = now() - began_;
            out.lost = "the machine cannot be frozen: " + reason_of(gate.error());
            taken_.push_back(std::move(out));
            return {};
        }
        auto const& report = gate->report();
        out.generation = report.generation;
        out.requested = report.requested - began_;
        out.to_quiesced = report.quiesced - report.requested;
        if (report.parked.raw != 0)
            out.to_parked = report.parked - report.requested;

        std::vector<vcpu_record> vcpus(runner.vcpus().size());
        auto const missing = [&](std::size_t i) {
            for (auto const& m : report.missing)
                if (m.thread == i)
                    return true;
            return false;
        };
        for (std::size_t i = 0; i < vcpus.size(); ++i) {
            auto& cpu = vcpus[i];
            cpu.index = static_cast<std::uint32_t>(i);
            cpu.hardware_id = machine_.hardware_ids[i];
            if (missing(i)) {
                cpu.presence = vcpu_presence::missing;
                continue;
            }
            cpu.presence = runner.vcpus()[i].running() ? vcpu_presence::parked : vcpu_presence::dead;
            if (auto const done = kvm::describe_vcpu(runner.vcpu(i).fd(), cpu); !done)
                out.degraded = fmt::format("no registers of vCPU {}: {}", i, reason_of(done.error()));
        }
        for (auto const& m : report.missing)
            out.degraded = m.worker ? fmt::format("the I/O thread did not stop within {} s", how.timeout.raw / 1'000'000'000)
                                    : fmt::format("vCPU {} did not stop within {:.1f} s: it hangs {}", m.thread,
                                                  static_cast<double>(how.timeout.raw) / 1e9,
                                                  m.in_guest ? "in KVM_RUN" : "in the handling of an exit");
        auto const info = note_text(note);
        snapshot_header header;
        header.arch = "x86_64";
        header.generation = report.generation;
        header.cause = out.cause;
        header.tag = out.tag;
        header.requested = report.requested;
        header.quiesced = report.quiesced;
        header.parked = report.parked;
        header.clocks = report.clocks;
        header.degraded = out.degraded;
        header.ram = runner.memory().regions();
        header.vcpus = vcpus;
        header.vmcoreinfo = info;
        header.kernel = place_of(vcpus.front());
        auto const file = file_for(tag);
        auto const self = ::getpid();
        child = piped ? ::fork() : -1;
        if (child == 0)
            write_and_leave(to.get(), self, wish_.format, wish_.folder + '/' + file, header, runner.memory());
        int const why = errno;
        auto const thawed = gate->thaw();
        frozen = thawed.released - report.requested;
        out.frozen = frozen;
        out.kvm_clock_held = thawed.clocks.kvm_clock;
        out.counter_held = thawed.clocks.counter;
        if (child < 0)
            out.lost = fmt::format("no process to write it: {}", std::strerror(why));
        else
            out.file = file;
    }
    taken_.push_back(std::move(out));
    if (child > 0)
        writers_.push_back({child, std::move(from), taken_.size() - 1});
    return frozen;
}

void snapshot_taker::conclude(writer& w) {
    auto& about = taken_[w.index];
    writer_result said;
    auto const n = ::read(w.result.get(), &said, sizeof said);
    int status = 0;
    while (::waitpid(w.pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != static_cast<ssize_t>(sizeof said)) {
        about.lost = WIFSIGNALED(status) ? fmt::format("its writer died of signal {}", WTERMSIG(status))
                                         : std::string("its writer ended without a word");
    } else if (said.failed != 0) {
        said.where[sizeof said.where - 1] = '\0';
        about.lost = reason_of({static_cast<errc>(said.failed), said.os_errno, said.value, said.where});
    } else {
        about.pages = said.pages;
        about.written_after = nanos{said.at_ns} - (began_ + about.requested);
    }
    if (!about.lost.empty())
        about.file.clear();
}

void snapshot_taker::reap(nanos patience) {
    auto const until = now() + patience;
    while (!writers_.empty()) {
        std::vector<pollfd> set;
        for (auto const& w : writers_)
            set.push_back({w.result.get(), POLLIN, 0});
        auto const left = until - now();
        int const ready = ::poll(set.data(), set.size(), static_cast<int>(std::max<std::int64_t>(left.raw, 0) / 1'000'000));
        for (std::size_t i = set.size(); i-- > 0;)
            if (ready > 0 && set[i].revents != 0) {
                conclude(writers_[i]);
                writers_.erase(writers_.begin() + static_cast<std::ptrdiff_t>(i));
            }
        if (now() >= until)
            return;
    }
}

void snapshot_taker::finish(nanos patience) {
    reap(patience);
    for (auto& w : writers_) {
        ::kill(w.pid, SIGKILL);
        conclude(w);
        taken_[w.index].lost = fmt::format("it was not written within {} s after the end", patience.raw / 1'000'000'000);
    }
    writers_.clear();
}

} // namespace ktstr::tool

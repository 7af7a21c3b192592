// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/snapshots.hpp"

#include "ktstr/introspect/kernel_layout.hpp"
#include "ktstr/arch/x86_64/paging.hpp"
#include "ktstr/freeze/watch_resolve.hpp"
#include "ktstr/kvm/x86_64/describe.hpp"
#include "ktstr/runner/x86_64/watching.hpp"
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

void snapshot_steps::load_symbols() {
    if (std::exchange(symbols_tried_, true))
        return;
    if (auto const fd = unique_fd::open(vmlinux_.c_str(), O_RDONLY))
        if (auto const size = file_size(fd->get()))
            if (auto const file = mapping::map(*size, PROT_READ, MAP_PRIVATE, fd->get()))
                if (auto table = decode_kallsyms(file->span()))
                    linked_.emplace(std::move(*table));
}

std::string snapshot_steps::path_of(snapshot_taken const& s, bool temporary) const {
    std::string name;
    for (char const c : std::string_view(s.tag).substr(0, 64))
        name.push_back((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                               (c == '.' && !name.empty())
                           ? c
                           : '_');
    if (temporary)
        name = fmt::format(".taken-{}-{}", ::getpid(), s.generation);
    return name + (wish_.format == snapshot_format::core ? ".core" : ".ktsnap");
}

std::string snapshot_steps::note_text() const {
    // The guest says where; every number in it is checked. An ELF note: three words, the name, the text.
    constexpr std::uint64_t most = 64 * KiB;
    if (!note_ || note_->size < 24 || note_->size > most)
        return {};
    std::string raw(note_->size, '\0');
    if (!read_guest(machine_.runner->memory(), gpa{note_->address}, std::as_writable_bytes(std::span(raw))))
        return {};
    std::array<std::uint32_t, 3> head{};
    std::memcpy(head.data(), raw.data(), sizeof head);
    auto const name = (std::uint64_t{head[0]} + 3) & ~std::uint64_t{3};
    if (head[0] != 11 || raw.compare(12, 10, "VMCOREINFO") != 0 || head[1] > note_->size - 12 - name)
        return {};
    auto text = raw.substr(12 + name, head[1]);
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

bool snapshot_steps::find_slide(vcpu_record const& bsp) {
    if (!symbols_ && linked_)
        if (auto const slide = slide_from_lstar(*linked_, bsp.value("lstar"))) {
            symbols_.emplace(std::move(*linked_), *slide);
            linked_.reset();
        }
    return symbols_.has_value();
}

kernel_place snapshot_steps::place_of(vcpu_record const& bsp) {
    if (!find_slide(bsp))
        return {};
    auto const layout = read_kernel_layout(*symbols_, machine_.runner->memory(),
                                           x86_page_tables::from_registers(bsp.value("cr3"), bsp.value("cr4")));
    if (!layout)
        return {};
    return {layout->text_virtual.raw, layout->text_physical.raw, layout->text_size.raw, layout->direct_map.raw};
}

void snapshot_steps::failed_to_freeze(std::string_view cause, std::string tag, error const& e) {
    if (e.code == errc::busy)
        return; // it comes again
    snapshot_taken out;
    out.tag = std::move(tag);
    out.cause = cause;
    out.requested = now() - began_;
    out.lost = "the machine cannot be frozen: " + reason_of(e);
    taken_.push_back(std::move(out));
}

std::vector<vcpu_record> snapshot_steps::registers(freeze_report const& report, std::string& degraded) const {
    auto& runner = *machine_.runner;
    std::vector<vcpu_record> out(runner.vcpus().size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        auto& cpu = out[i];
        cpu.index = static_cast<std::uint32_t>(i);
        cpu.hardware_id = machine_.hardware_ids[i];
        if (std::ranges::any_of(report.missing, [&](auto const& m) { return m.thread == i; })) {
            cpu.presence = vcpu_presence::missing;
            continue;
        }
        cpu.presence = runner.vcpus()[i].running() ? vcpu_presence::parked : vcpu_presence::dead;
        if (auto const done = kvm::describe_vcpu(runner.vcpu(i).fd(), cpu); !done)
            degraded = fmt::format("no registers of vCPU {}: {}", i, reason_of(done.error()));
    }
    for (auto const& m : report.missing)
        degraded = m.worker ? std::string("the I/O thread did not stop in time")
                            : fmt::format("vCPU {} did not stop within {:.1f} s: it hangs {}", m.thread,
                                          static_cast<double>(wish_.freeze_timeout.raw) / 1e9,
                                          m.in_guest ? "in KVM_RUN" : "in the handling of an exit");
    return out;
}

captured<snapshot_steps::snapshot_type> snapshot_steps::picture(freeze_report const& report, std::string_view cause,
                                                                std::string tag) {
    snapshot_taken out;
    out.tag = tag.empty() ? "death" : std::move(tag);
    out.cause = cause;
    out.generation = report.generation;
    out.requested = report.requested - began_;
    out.to_quiesced = report.quiesced - report.requested;
    if (report.parked.raw != 0)
        out.to_parked = report.parked - report.requested;
    out.kvm_clock_held = report.clocks.kvm_clock;
    out.counter_held = report.clocks.counter;
    std::array<int, 2> ends{-1, -1};
    bool const piped = ::pipe2(ends.data(), O_CLOEXEC) == 0;
    unique_fd from(ends[0]), to(ends[1]);

    auto const vcpus = registers(report, out.degraded);
    auto const info = note_text();
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
    header.ram = machine_.runner->memory().regions();
    header.vcpus = vcpus;
    header.vmcoreinfo = info;
    header.kernel = place_of(vcpus.front());
    auto const file = wish_.folder + '/' + path_of(out, true);
    auto const self = ::getpid();
    auto const child = piped ? ::fork() : -1;
    if (child == 0)
        write_and_leave(to.get(), self, wish_.format, file, header, machine_.runner->memory());
    if (child < 0)
        out.lost = fmt::format("no process to write it: {}", std::strerror(errno));
    auto degraded = out.degraded;
    taken_.push_back(std::move(out));
    auto const index = taken_.size() - 1;
    if (child > 0)
        writers_.push_back({child, std::move(from), index});
    return {{index}, std::move(degraded)};
}

std::string snapshot_steps::take_held(hold_type& hold, std::string tag) {
    load_symbols();
    auto got = picture(hold.report(), name_of(freeze_cause::host), std::move(tag));
    static_cast<void>(publish(got.snapshot, {}));
    return wish_.shown_as.empty() ? wish_.folder + '/' + taken_[got.snapshot.index].file
                                  : wish_.shown_as + '/' + taken_[got.snapshot.index].file;
}

void snapshot_steps::served(watch_hit const& t, freeze_report const& report) {
    auto& set = watches();
    auto const before = set.changes();
    set.served(t.slot);
    auto& about = taken_.back();
    about.value = t.value;
    about.value_known = t.known;
    about.polled = t.polled;
    if (set.changes() != before)
        static_cast<void>(set_watchpoints(*machine_.runner, set, report));
}

nanos snapshot_steps::thaw(hold_type&& hold) {
    auto mine = std::move(hold);
    auto const from = mine.report().requested;
    auto const generation = mine.report().generation;
    auto const done = mine.thaw();
    auto const frozen = done.released - from;
    for (auto& s : taken_)
        if (s.generation == generation) {
            s.frozen = frozen;
            s.kvm_clock_held = done.clocks.kvm_clock;
            s.counter_held = done.clocks.counter;
        }
    return frozen;
}

result<> snapshot_steps::publish(snapshot_type& s, capture_label const& label) {
    auto& about = taken_[s.index];
    if (!label.tag.empty())
        about.tag = label.tag;
    about.file = path_of(about, false);
    bool const writing = std::ranges::any_of(writers_, [&](auto const& w) { return w.index == s.index; });
    if (!writing)
        name(s.index);
    return {};
}

/// Gives a finished file the name that its snapshot has by now.
void snapshot_steps::name(std::size_t index) {
    auto& about = taken_[index];
    if (about.file.empty() || !about.lost.empty())
        return;
    auto const from = wish_.folder + '/' + path_of(about, true);
    if (::rename(from.c_str(), (wish_.folder + '/' + about.file).c_str()) != 0)
        about.lost = fmt::format("it cannot be named: {}", std::strerror(errno));
}

void snapshot_steps::answer(guest_request const& t, bool ok, std::string_view reason) {
    replies_.push_back({t.id, ok, std::string(reason)});
}

std::string snapshot_steps::check_watch_text(std::string const& text) {
    load_symbols();
    if (!linked_)
        return "the kernel's image has no symbols";
    auto const anywhere = [](gva) -> result<gpa> { return gpa{0}; };
    if (auto const done = resolve_watch(text, *linked_, anywhere); !done)
        return std::string(watch_reason(done.error()));
    return {};
}

std::string snapshot_steps::watch(std::string const& text, std::string_view tag) {
    load_symbols();
    freeze_options how;
    how.timeout = wish_.freeze_timeout;
    auto gate = machine_.runner->freeze(how);
    if (!gate)
        return "the machine cannot be frozen: " + reason_of(gate.error());
    std::string unused;
    auto const vcpus = registers(gate->report(), unused);
    if (!find_slide(vcpus.front()))
        return "it is not known where the kernel runs";
    auto const tables = x86_page_tables::from_registers(vcpus.front().value("cr3"), vcpus.front().value("cr4"));
    auto const walk = [&](gva at) -> result<gpa> {
        for (auto const root : {tables.root.raw, tables.root.raw & ~x86::cr3_user_table})
            if (auto const there = translate(machine_.runner->memory(), x86_page_tables{gpa{root}, tables.la57}, at))
                return there->address;
        return fail(errc::not_found, "watch.place", at.raw);
    };
    auto request = resolve_watch(text, *symbols_, walk, tag);
    if (!request)
        return std::string(watch_reason(request.error()));
    auto const slot = watches().arm(std::move(*request));
    if (!slot)
        return std::string(watch_reason(slot.error()));
    if (auto const done = set_watchpoints(*machine_.runner, watches(), gate->report()); !done) {
        watches().disarm(*slot);
        return reason_of(done.error());
    }
    auto const from = gate->report().requested;
    frozen_ = frozen_ + (gate->thaw().released - from);
    return {};
}

void snapshot_steps::conclude(writer& w) {
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
    name(w.index);
    if (!about.lost.empty())
        about.file.clear();
}

void snapshot_steps::reap(nanos patience) {
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

void snapshot_steps::finish(nanos patience) {
    reap(patience);
    for (auto& w : writers_) {
        ::kill(w.pid, SIGKILL);
        conclude(w);
        taken_[w.index].lost = fmt::format("it was not written within {} s after the end", patience.raw / 1'000'000'000);
    }
    writers_.clear();
}

} // namespace ktstr::tool

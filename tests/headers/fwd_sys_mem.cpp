// SPDX-License-Identifier: Apache-2.0
#include "ktstr/mem/fwd.hpp"
#include "ktstr/sys/fwd.hpp"

using namespace ktstr;
void only_names(unique_fd&, mapping&, publication&, ktstr::mutex&, mutex_guard&, condition&, ktstr::thread&,
                thread_service&, gpa_range&, ram_region&, null_memory&, buffer_memory&, mmap_memory&, anonymous_ram&,
                memfd_ram&, hugetlb_ram&);

#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/sys/mutex.hpp"
#include "ktstr/sys/publish.hpp"
#include "ktstr/sys/schedstat.hpp"
#include "ktstr/sys/thread.hpp"

void only_names(unique_fd& a, mapping& b, publication& c, ktstr::mutex& d, mutex_guard& e, condition& f,
                ktstr::thread& g, thread_service& h, gpa_range& i, ram_region& j, null_memory& k, buffer_memory& l,
                mmap_memory& m, anonymous_ram& n, memfd_ram& o, hugetlb_ram& p) {
    static_cast<void>(sizeof(a) + sizeof(b) + sizeof(c) + sizeof(d) + sizeof(e) + sizeof(f) + sizeof(g) + sizeof(h) +
                      sizeof(i) + sizeof(j) + sizeof(k) + sizeof(l) + sizeof(m) + sizeof(n) + sizeof(o) + sizeof(p));
}

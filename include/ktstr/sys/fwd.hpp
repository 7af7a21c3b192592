// SPDX-License-Identifier: Apache-2.0
/// \file
/// Names of sys/ for headers that only pass them by reference.
#pragma once

namespace ktstr {

class unique_fd;
class mapping;
class publication;
class mutex;
class mutex_guard;
class condition;
class thread;
struct thread_service;

} // namespace ktstr

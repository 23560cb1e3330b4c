/* Preloaded into a program: counts what it does to files under a folder, and stops or kills it before chosen operations.

   $KILL_PID    the process that is counted; its children are left alone
   $KILL_UNDER  the folder, an absolute path
   $KILL_AT     numbers of operations, from 1, with commas between
   $KILL_WITH   the signal sent before those: 9 kills; 19 stops, so that the folder can be copied as a kill would leave it
   $KILL_LOG    a file that gets a line for each operation: what, and on which path

   Buffered writing (fwrite) counts where it is called, though the file changes when the buffer is flushed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
static long operations = 0;

static void operation(const char *what, const char *path) {
  const char *under = getenv("KILL_UNDER"), *at = getenv("KILL_AT"), *with = getenv("KILL_WITH"), *log = getenv("KILL_LOG");
  char line[PATH_MAX + 100];
  pthread_mutex_lock(&alone);
  long number = ++operations;
  if (log) {
    int file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    int length = snprintf(line, sizeof line, "%s %s\n", what, path + strlen(under));
    if (file >= 0) {
      syscall(SYS_write, file, line, length);
      syscall(SYS_close, file);
    }
  }
  for (; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
    if (atol(at) == number) syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), with ? atoi(with) : SIGKILL);
  pthread_mutex_unlock(&alone);
}

static int watched(const char *path) {
  const char *under = getenv("KILL_UNDER"), *pid = getenv("KILL_PID");
  if (!under || !pid || !path || atoi(pid) != getpid()) return 0;
  size_t length = strlen(under);
  return !strncmp(path, under, length) && (path[length] == '/' || !path[length]);
}

/* The path of an open file, "" if it has none. */
static const char *path_of(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length > 0 ? length : 0] = 0;
  return path;
}

static const char *joined(int folder, const char *name, char *path) {
  if (!name || *name == '/') return name;
  char base[PATH_MAX];
  if (folder == AT_FDCWD ? !getcwd(base, sizeof base) : !*path_of(folder, base)) return name;
  snprintf(path, PATH_MAX, "%.*s/%.*s", 2000, base, 2000, name);
  return path;
}

static void at_path(const char *what, int folder, const char *name) {
  char path[PATH_MAX];
  if (!getenv("KILL_UNDER")) return;
  name = joined(folder, name, path);
  if (watched(name)) operation(what, name);
}

static void at_file(const char *what, int file) {
  char path[PATH_MAX];
  if (!getenv("KILL_UNDER")) return;
  if (watched(path_of(file, path))) operation(what, path);
}

#define REAL(name) (__typeof__(&name)) real(&found_##name, #name)
static void *real(void **found, const char *name) {
  if (!*found) *found = dlsym(RTLD_NEXT, name);
  return *found;
}
#define HOOK(type, name, parameters, before, arguments) \
  static void *found_##name;                            \
  type name parameters {                                \
    before;                                             \
    return (REAL(name)) arguments;                      \
  }

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define OPEN(name)                                                \
  static void *found_##name;                                      \
  int name(const char *path, int flags, ...) {                    \
    va_list more;                                                 \
    va_start(more, flags);                                        \
    mode_t mode = va_arg(more, int);                              \
    va_end(more);                                                 \
    if (WRITES(flags)) at_path("open", AT_FDCWD, path);           \
    return (REAL(name))(path, flags, mode);                       \
  }
#define OPENAT(name)                                              \
  static void *found_##name;                                      \
  int name(int folder, const char *path, int flags, ...) {        \
    va_list more;                                                 \
    va_start(more, flags);                                        \
    mode_t mode = va_arg(more, int);                              \
    va_end(more);                                                 \
    if (WRITES(flags)) at_path("open", folder, path);             \
    return (REAL(name))(folder, path, flags, mode);               \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
#define FOPEN(name) \
  HOOK(FILE *, name, (const char *path, const char *mode), if (strpbrk(mode, "wa+")) at_path("fopen", AT_FDCWD, path), (path, mode))
FOPEN(fopen)
FOPEN(fopen64)
HOOK(size_t, fwrite, (const void *data, size_t size, size_t n, FILE *file), at_file("fwrite", fileno(file)), (data, size, n, file))
HOOK(int, fflush, (FILE *file), if (file) at_file("fflush", fileno(file)), (file))
HOOK(int, fclose, (FILE *file), at_file("fclose", fileno(file)), (file))
HOOK(ssize_t, write, (int file, const void *data, size_t n), at_file("write", file), (file, data, n))
HOOK(ssize_t, writev, (int file, const struct iovec *data, int n), at_file("write", file), (file, data, n))
HOOK(ssize_t, pwrite, (int file, const void *data, size_t n, off_t at), at_file("pwrite", file), (file, data, n, at))
HOOK(ssize_t, pwrite64, (int file, const void *data, size_t n, off64_t at), at_file("pwrite", file), (file, data, n, at))
HOOK(ssize_t, sendfile, (int to, int from, off_t *at, size_t n), at_file("sendfile", to), (to, from, at, n))
HOOK(ssize_t, sendfile64, (int to, int from, off64_t *at, size_t n), at_file("sendfile", to), (to, from, at, n))
HOOK(int, ftruncate, (int file, off_t n), at_file("ftruncate", file), (file, n))
HOOK(int, ftruncate64, (int file, off64_t n), at_file("ftruncate", file), (file, n))
HOOK(int, fsync, (int file), at_file("fsync", file), (file))
HOOK(int, fdatasync, (int file), at_file("fsync", file), (file))
HOOK(int, rename, (const char *from, const char *to), at_path("rename", AT_FDCWD, to), (from, to))
HOOK(int, renameat, (int a, const char *from, int b, const char *to), at_path("rename", b, to), (a, from, b, to))
HOOK(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), at_path("rename", b, to), (a, from, b, to, flags))
HOOK(int, link, (const char *from, const char *to), at_path("link", AT_FDCWD, to), (from, to))
HOOK(int, symlink, (const char *from, const char *to), at_path("symlink", AT_FDCWD, to), (from, to))
HOOK(int, unlink, (const char *path), at_path("unlink", AT_FDCWD, path), (path))
HOOK(int, unlinkat, (int folder, const char *path, int flags), at_path("unlink", folder, path), (folder, path, flags))
HOOK(int, remove, (const char *path), at_path("unlink", AT_FDCWD, path), (path))
HOOK(int, mkdir, (const char *path, mode_t mode), at_path("mkdir", AT_FDCWD, path), (path, mode))
HOOK(int, mkdirat, (int folder, const char *path, mode_t mode), at_path("mkdir", folder, path), (folder, path, mode))
HOOK(int, rmdir, (const char *path), at_path("rmdir", AT_FDCWD, path), (path))

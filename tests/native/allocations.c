// allocations.c — fails the n-th allocation of a library; for LD_PRELOAD. bench/nightly/allocations.py
// compiles and uses it.
//
// What counts while it is armed: operator new of kSmall bytes and more (the few bytes by which pybind11
// remembers an object are less, and where they are refused it ends the process) and pthread_create; what the
// library named by allocations_watch asks of malloc and its kin; and blocks of kLarge bytes and more by
// whomever, which are NumPy's arrays. After the n-th, all go well again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { kLarge = 2048, kSmall = 256 };  // bytes

static char watched[4096];
static atomic_long left = -1;  // allocations until one fails; negative: none does
static atomic_long seen = 0;   // since it was armed
static atomic_int failed = 0;

void allocations_watch(const char* file) {
  strncpy(watched, file, sizeof watched - 1);
}
void allocations_arm(long n) {
  atomic_store(&seen, 0);
  atomic_store(&failed, 0);
  atomic_store(&left, n);
}
long allocations_disarm(void) {
  atomic_store(&left, -1);
  return atomic_load(&seen);
}
int allocations_failed(void) {
  return atomic_load(&failed);
}

// dladdr may allocate; and so does the first look at a thread's variable, unless it has its place from the
// start.
static _Thread_local int inside __attribute__((tls_model("initial-exec")));

static int is_watched(const void* caller) {
  Dl_info where;
  inside = 1;
  const int found = dladdr(caller, &where) && where.dli_fname && strcmp(where.dli_fname, watched) == 0;
  inside = 0;
  return found;
}

static int fails(size_t size, const void* caller, int always) {
  if (atomic_load_explicit(&left, memory_order_relaxed) < 0 || inside) return 0;
  if (!always && size < kLarge && !is_watched(caller)) return 0;
  atomic_fetch_add(&seen, 1);
  if (atomic_fetch_sub(&left, 1) != 0) return 0;
  atomic_store(&failed, 1);
  return 1;
}

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

#define CALLER __builtin_return_address(0)
#define FAIL_IF(condition) \
  do {                     \
    if (condition) {       \
      errno = ENOMEM;      \
      return NULL;         \
    }                      \
  } while (0)

void* malloc(size_t size) {
  FAIL_IF(fails(size, CALLER, 0));
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  FAIL_IF(fails(count * size, CALLER, 0));
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  FAIL_IF(fails(size, CALLER, 0));
  return __libc_realloc(old, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  FAIL_IF(fails(size, CALLER, 0));
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** to, size_t alignment, size_t size) {
  if (fails(size, CALLER, 0)) return ENOMEM;
  *to = __libc_memalign(alignment, size);
  return *to ? 0 : ENOMEM;
}

// operator new and new[], plain and aligned, by their mangled names. Their own failure is std::bad_alloc,
// which only C++ can throw: it comes from the library's own operator new, whose malloc fails.
typedef void* (*New)(size_t);
typedef void* (*NewAligned)(size_t, size_t);
enum { kTooLarge = 62 };  // bits of a size that nobody has
#define NEW(name)                                                                          \
  void* name(size_t size) {                                                                \
    const New real = (New)dlsym(RTLD_NEXT, #name);                                         \
    return real(size >= kSmall && fails(size, CALLER, 1) ? (size_t)1 << kTooLarge : size); \
  }
#define NEW_ALIGNED(name)                                                                             \
  void* name(size_t size, size_t alignment) {                                                         \
    const NewAligned real = (NewAligned)dlsym(RTLD_NEXT, #name);                                      \
    return real(size >= kSmall && fails(size, CALLER, 1) ? (size_t)1 << kTooLarge : size, alignment); \
  }
NEW(_Znwm)
NEW(_Znam)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)

int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*run)(void*), void* with) {
  typedef int (*Create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  if (fails(0, CALLER, 1)) return EAGAIN;
  return ((Create)dlsym(RTLD_NEXT, "pthread_create"))(thread, how, run, with);
}

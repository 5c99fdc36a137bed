/*
 * annotate.h — tells ThreadSanitizer what libraries that it cannot see into have ordered
 *
 * Nothing in other builds. Each use names the library's guarantee it stands for.
 */
#ifndef ENGINE_BASE_ANNOTATE_H
#define ENGINE_BASE_ANNOTATE_H

#ifdef __SANITIZE_THREAD__
# include <sanitizer/tsan_interface.h>
# define annotate_release(p) __tsan_release((void *)(p))
# define annotate_acquire(p) __tsan_acquire((void *)(p))
#else
# define annotate_release(p) ((void)0)
# define annotate_acquire(p) ((void)0)
#endif

#endif

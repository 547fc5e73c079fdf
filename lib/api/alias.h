/* SPDX-License-Identifier: MIT */
/*
 * One code, two names. The declarations of the C library's names stand beside those of ours,
 * because its headers may give them attributes that differ.
 */
#ifndef PM_API_ALIAS_H
#define PM_API_ALIAS_H

#if __has_attribute(copy) /* gcc wants an alias to say what its target says */
#define SAME_AS(name) __attribute__((visibility("default"), alias(#name), copy(name)))
#else
#define SAME_AS(name) __attribute__((visibility("default"), alias(#name)))
#endif

#endif

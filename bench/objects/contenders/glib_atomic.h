/* SPDX-License-Identifier: MIT */
/* g_atomic_rc_box: counts of several threads. See glib_box.h. */
#define CONTENDER_NAME "glib-atomic"
#define CONTENDER_SHARES 1
#define BOX(name) g_atomic_rc_box_##name

#include "glib_box.h"

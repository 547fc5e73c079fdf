/* SPDX-License-Identifier: MIT */
/* g_rc_box: counts of one thread. See glib_box.h. */
#define CONTENDER_NAME "glib"
#define CONTENDER_SHARES 0
#define BOX(name) g_rc_box_##name

#include "glib_box.h"

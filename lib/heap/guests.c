/* SPDX-License-Identifier: MIT */
/* See guests.h. */
#include "heap/guests.h"

const struct pm_guests *_Atomic pm_guests_now;

void pm_guests_set(const struct pm_guests *guests)
{
    pm_store_release(&pm_guests_now, guests); /* with what its functions need */
}

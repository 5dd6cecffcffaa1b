/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all drivers, made from the list in drivers.h. */
#include "drivers/drivers.h"

#define DRIVER_ENTRY(name) &driver_##name,

const struct driver_ops *const driver_table[] = {DRIVER_LIST(DRIVER_ENTRY) NULL};

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all faults, made from the list in faults.h. */
#include "faults/faults.h"

#define FAULT_ENTRY(name) &fault_##name,

const struct fault_ops *const fault_table[] = {FAULT_LIST(FAULT_ENTRY) NULL};

/* SPDX-License-Identifier: Apache-2.0 */
/* Between content and names of what was not synced. */
#ifndef DRIVERS_LINUX_FUSE_LOST_PRIVATE_H
#define DRIVERS_LINUX_FUSE_LOST_PRIVATE_H

#include "drivers/linux/fuse_lost.h"

#define LOST_BLOCK ((uint64_t)4096)
#define LOST_LINK_MAX 4096 /* of what a symbolic link says */

void lost_names_crash(struct fuse_lost *lost, struct fuse_loss *ret);

#endif

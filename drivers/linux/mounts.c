/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting by descriptors. The numbers are those of <linux/mount.h>, which cannot be included
 * beside <sys/mount.h> everywhere. */
#include "drivers/linux/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

enum command {
	SET_FLAG = 0,
	SET_STRING = 1,
	CREATE = 6,
	RECONFIGURE = 7
};

#define CLOSE_ON_EXEC 1u

static int configure(int context, enum command command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, context, (unsigned)command, key, value, 0);
}

int mounts_open(const char *type)
{
	return (int)syscall(SYS_fsopen, type, CLOSE_ON_EXEC);
}

int mounts_pick(const char *path)
{
	return (int)syscall(SYS_fspick, AT_FDCWD, path, CLOSE_ON_EXEC);
}

int mounts_set(int context, const char *key, const char *value)
{
	return configure(context, value ? SET_STRING : SET_FLAG, key, value);
}

int mounts_create(int context)
{
	return configure(context, CREATE, NULL, NULL);
}

int mounts_change(int context)
{
	return configure(context, RECONFIGURE, NULL, NULL);
}

int mounts_nowhere(int context)
{
	return (int)syscall(SYS_fsmount, context, CLOSE_ON_EXEC, 0);
}

int mounts_enter(void)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ? -1 : 0;
}

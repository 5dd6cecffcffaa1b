/* SPDX-License-Identifier: Apache-2.0 */
/* Which arguments of which calls are paths and descriptors. */
#include <string.h>

#include "drivers/linux/syscall_private.h"

#define NOTHING                                                                                    \
	{                                                                                          \
		SYSCALL_NONE, SYSCALL_NONE                                                         \
	}
#define FD(name, fd)                                                                               \
	{                                                                                          \
#name,                                                                             \
		{                                                                                  \
			{SYSCALL_NONE, fd}, NOTHING                                                \
		}                                                                                  \
	}
#define FDS(name, one, two)                                                                        \
	{                                                                                          \
#name,                                                                             \
		{                                                                                  \
			{SYSCALL_NONE, one},                                                       \
			{                                                                          \
				SYSCALL_NONE, two                                                  \
			}                                                                          \
		}                                                                                  \
	}
#define PATH(name, path)                                                                           \
	{                                                                                          \
#name,                                                                             \
		{                                                                                  \
			{path, SYSCALL_HERE}, NOTHING                                              \
		}                                                                                  \
	}
#define PATHS(name, one, two)                                                                      \
	{                                                                                          \
#name,                                                                             \
		{                                                                                  \
			{one, SYSCALL_HERE},                                                       \
			{                                                                          \
				two, SYSCALL_HERE                                                  \
			}                                                                          \
		}                                                                                  \
	}
#define AT(name, folder, path)                                                                     \
	{                                                                                          \
#name,                                                                             \
		{                                                                                  \
			{path, folder}, NOTHING                                                    \
		}                                                                                  \
	}
#define ATS(name, folder, path, folder2, path2)                                                    \
	{                                                                                          \
#name,                                                                             \
		{                                                                                  \
			{path, folder},                                                            \
			{                                                                          \
				path2, folder2                                                     \
			}                                                                          \
		}                                                                                  \
	}

static const struct syscall_role roles[] = {
	PATH(access, 0),
	PATH(acct, 0),
	PATH(chdir, 0),
	PATH(chmod, 0),
	PATH(chown, 0),
	PATH(chroot, 0),
	PATH(creat, 0),
	PATH(execve, 0),
	PATH(getxattr, 0),
	PATH(lchown, 0),
	PATH(lgetxattr, 0),
	PATH(listxattr, 0),
	PATH(llistxattr, 0),
	PATH(lremovexattr, 0),
	PATH(lsetxattr, 0),
	PATH(lstat, 0),
	PATH(mkdir, 0),
	PATH(mknod, 0),
	PATH(open, 0),
	PATH(readlink, 0),
	PATH(removexattr, 0),
	PATH(rmdir, 0),
	PATH(setxattr, 0),
	PATH(stat, 0),
	PATH(statfs, 0),
	PATH(swapon, 0),
	PATH(swapoff, 0),
	PATH(symlink, 1),
	PATH(truncate, 0),
	PATH(umount2, 0),
	PATH(unlink, 0),
	PATH(utime, 0),
	PATH(utimes, 0),
	PATH(inotify_add_watch, 1),
	PATH(quotactl, 1),
	PATHS(link, 0, 1),
	PATHS(mount, 0, 1),
	PATHS(pivot_root, 0, 1),
	PATHS(rename, 0, 1),
	AT(execveat, 0, 1),
	AT(faccessat, 0, 1),
	AT(faccessat2, 0, 1),
	AT(fchmodat, 0, 1),
	AT(fchmodat2, 0, 1),
	AT(fchownat, 0, 1),
	AT(fspick, 0, 1),
	AT(futimesat, 0, 1),
	AT(mkdirat, 0, 1),
	AT(mknodat, 0, 1),
	AT(name_to_handle_at, 0, 1),
	AT(newfstatat, 0, 1),
	AT(open_tree, 0, 1),
	AT(openat, 0, 1),
	AT(openat2, 0, 1),
	AT(readlinkat, 0, 1),
	AT(statx, 0, 1),
	AT(symlinkat, 1, 2),
	AT(unlinkat, 0, 1),
	AT(utimensat, 0, 1),
	ATS(linkat, 0, 1, 2, 3),
	ATS(move_mount, 0, 1, 2, 3),
	ATS(renameat, 0, 1, 2, 3),
	ATS(renameat2, 0, 1, 2, 3),
	FD(accept, 0),
	FD(accept4, 0),
	FD(bind, 0),
	FD(close, 0),
	FD(connect, 0),
	FD(dup, 0),
	FD(dup2, 0),
	FD(dup3, 0),
	FD(epoll_ctl, 0),
	FD(epoll_pwait, 0),
	FD(epoll_pwait2, 0),
	FD(epoll_wait, 0),
	FD(fadvise64, 0),
	FD(fallocate, 0),
	FD(fchdir, 0),
	FD(fchmod, 0),
	FD(fchown, 0),
	FD(fcntl, 0),
	FD(fdatasync, 0),
	FD(fgetxattr, 0),
	FD(flistxattr, 0),
	FD(flock, 0),
	FD(fremovexattr, 0),
	FD(fsetxattr, 0),
	FD(fstat, 0),
	FD(fstatfs, 0),
	FD(fsync, 0),
	FD(ftruncate, 0),
	FD(getdents, 0),
	FD(getdents64, 0),
	FD(getpeername, 0),
	FD(getsockname, 0),
	FD(getsockopt, 0),
	FD(ioctl, 0),
	FD(listen, 0),
	FD(lseek, 0),
	FD(mmap, 4),
	FD(pread64, 0),
	FD(preadv, 0),
	FD(preadv2, 0),
	FD(pwrite64, 0),
	FD(pwritev, 0),
	FD(pwritev2, 0),
	FD(read, 0),
	FD(readahead, 0),
	FD(readv, 0),
	FD(recvfrom, 0),
	FD(recvmmsg, 0),
	FD(recvmsg, 0),
	FD(sendmmsg, 0),
	FD(sendmsg, 0),
	FD(sendto, 0),
	FD(setsockopt, 0),
	FD(shutdown, 0),
	FD(sync_file_range, 0),
	FD(syncfs, 0),
	FD(timerfd_gettime, 0),
	FD(timerfd_settime, 0),
	FD(vmsplice, 0),
	FD(write, 0),
	FD(writev, 0),
	FDS(copy_file_range, 0, 2),
	FDS(sendfile, 0, 1),
	FDS(splice, 0, 2),
	FDS(tee, 0, 1),
};

const char *const syscall_device_calls[] = {
	"openat",    "open",       "openat2", "stat",    "newfstatat", "statx", "access",
	"faccessat", "faccessat2", "ioctl",   "pread64", "pwrite64",   NULL,
};

const char *const syscall_file_calls[] = {
	"openat",
	"open",
	"openat2",
	"creat",
	"read",
	"pread64",
	"readv",
	"preadv",
	"preadv2",
	"write",
	"pwrite64",
	"writev",
	"pwritev",
	"pwritev2",
	"fsync",
	"fdatasync",
	"sync_file_range",
	"ftruncate",
	"fallocate",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"mkdir",
	"mkdirat",
	"copy_file_range",
	NULL,
};

const struct syscall_role *syscall_role(const char *name)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

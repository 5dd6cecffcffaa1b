/* SPDX-License-Identifier: Apache-2.0 */
/* From names of calls to a program for the kernel, by libseccomp. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/param.h"
#include "drivers/lazy/seccomp.h"
#include "drivers/linux/syscall_private.h"

#define MARK_ARGUMENT 5

const char *const syscall_op_names[] = {
	[SYSCALL_EQUAL] = "==",      [SYSCALL_NOT_EQUAL] = "!=", [SYSCALL_LESS] = "<",
	[SYSCALL_LESS_EQUAL] = "<=", [SYSCALL_GREATER] = ">",    [SYSCALL_GREATER_EQUAL] = ">=",
};
static const enum scmp_compare ops[] = {
	[SYSCALL_EQUAL] = SCMP_CMP_EQ,   [SYSCALL_NOT_EQUAL] = SCMP_CMP_NE,
	[SYSCALL_LESS] = SCMP_CMP_LT,    [SYSCALL_LESS_EQUAL] = SCMP_CMP_LE,
	[SYSCALL_GREATER] = SCMP_CMP_GT, [SYSCALL_GREATER_EQUAL] = SCMP_CMP_GE,
};

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

/* What the child itself calls between the filter and its program. */
static bool is_marked(const char *name)
{
	static const char *const names[] = {"close", "execve", "read", "sendmsg", "write", NULL};

	return is_one_of(name, names);
}

/* ---- names ---- */

static int unknown(const char *name, struct error *e)
{
	char *words[SYSCALL_NUMBERS_MAX + 1];
	size_t count = 0;
	const char *near;

	for (int number = 0; number < SYSCALL_NUMBERS_MAX; number++) {
		words[count] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
		if (words[count])
			count++;
	}
	words[count] = NULL;
	near = param_suggest(name, (const char *const *)(uintptr_t)words);
	if (near)
		error_set(e, ERROR_SCENARIO, NO_PLACE, "no system call '%.40s'; did you mean '%s'?",
			  name, near);
	else
		error_set(e, ERROR_SCENARIO, NO_PLACE, "no system call '%.40s'", name);
	while (count > 0)
		free(words[--count]);
	return -1;
}

int syscall_number(const char *name, struct error *e)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR)
		return unknown(name, e);
	/* Those of other architectures have numbers below zero in libseccomp. */
	return number < 0 || number >= SYSCALL_NUMBERS_MAX ? -2 : number;
}

/* ---- one call ---- */

static int refuse(const struct syscall_call *call, const char *why, struct error *e)
{
	return error_set(e, ERROR_SCENARIO, NO_PLACE, "the call '%.40s' cannot be listed: %s",
			 call->name, why);
}

static int check(const struct syscall_call *call, struct error *e)
{
	static const char *const ends[] = {"exit", "exit_group", "rt_sigreturn", "restart_syscall",
					   NULL};
	bool used[SYSCALL_COMPARES_MAX] = {false};

	if (is_one_of(call->name, ends))
		return refuse(call, "no program can go on without it", e);
	if (is_marked(call->name))
		used[MARK_ARGUMENT] = true;
	for (size_t i = 0; i < call->compare_count; i++) {
		const struct syscall_compare *compare = &call->compares[i];

		if (compare->argument >= SYSCALL_COMPARES_MAX || used[compare->argument])
			return refuse(call,
				      "an argument is compared that it does not have, or one "
				      "twice",
				      e);
		used[compare->argument] = true;
		if (compare->mask && compare->op != SYSCALL_EQUAL)
			return refuse(call, "a mask goes with == only, in a filter", e);
	}
	return 0;
}

static struct scmp_arg_cmp translate(const struct syscall_compare *compare)
{
	struct scmp_arg_cmp cmp = {.arg = compare->argument, .op = ops[compare->op]};

	if (compare->mask) {
		cmp.op = SCMP_CMP_MASKED_EQ;
		cmp.datum_a = compare->mask;
		cmp.datum_b = compare->value;
	} else {
		cmp.datum_a = compare->value;
	}
	return cmp;
}

static int add(scmp_filter_ctx context, const struct syscall_call *call, int number,
	       struct error *e)
{
	struct scmp_arg_cmp compares[SYSCALL_COMPARES_MAX];
	unsigned count = 0;
	int rc;

	for (size_t i = 0; i < call->compare_count; i++)
		compares[count++] = translate(&call->compares[i]);
	if (is_marked(call->name))
		compares[count++] =
			(struct scmp_arg_cmp){.arg = MARK_ARGUMENT,
					      .op = SCMP_CMP_NE,
					      .datum_a = (unsigned long)SYSCALL_CHILD_MARK};
	rc = seccomp_rule_add_array(context, SCMP_ACT_NOTIFY, number, count, compares);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot put the call '%.40s' into a filter: %s", call->name,
				 rc == -EOPNOTSUPP ? "this kernel has no seccomp user notification"
						   : strerror(-rc));
	return 0;
}

/* ---- all of them ---- */

static int add_calls(scmp_filter_ctx context, const struct syscall_filter_config *config,
		     struct syscall_filter *filter, struct error *e)
{
	size_t present = 0;

	for (size_t i = 0; i < config->call_count; i++) {
		const struct syscall_call *call = &config->calls[i];
		int number = check(call, e) ? -1 : syscall_number(call->name, e);

		if (number == -1)
			return -1;
		if (number < 0)
			continue;
		if (config->no_io_uring && strcmp(call->name, "io_uring_setup") == 0)
			return refuse(call, "it always fails, as asked", e);
		if (add(context, call, number, e))
			return -1;
		filter->listed[number] = true;
		filter->roles[number] = syscall_role(call->name);
		present++;
	}
	if (config->call_count > 0 && present == 0)
		return error_set(
			e, ERROR_UNAVAILABLE, NO_PLACE,
			"this architecture has none of the calls that shall fail ('%.40s')",
			config->calls[0].name);
	return 0;
}

static int fill(scmp_filter_ctx context, const struct syscall_filter_config *config,
		struct syscall_filter *filter, struct error *e)
{
	int rc, number = config->no_io_uring ? seccomp_syscall_resolve_name("io_uring_setup") : -1;

	/* Programs of another architecture run, without faults. */
	rc = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	/* A tree instead of a list, for many calls. */
	if (rc == 0)
		rc = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0 && number >= 0)
		rc = seccomp_rule_add_array(context, SCMP_ACT_ERRNO(ENOSYS), number, 0, NULL);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make a filter: %s",
				 strerror(-rc));
	return add_calls(context, config, filter, e);
}

/* libseccomp gives the program to a file only. */
static int take_program(scmp_filter_ctx context, struct arena *arena, struct sock_fprog *ret,
			struct error *e)
{
	int fd = memfd_create("drsim-filter", MFD_CLOEXEC), rc = -1;
	off_t size = fd >= 0 && seccomp_export_bpf(context, fd) == 0 ? lseek(fd, 0, SEEK_END) : -1;
	size_t count = size > 0 ? (size_t)size / sizeof(*ret->filter) : 0;

	if (count > 0 && count <= BPF_MAXINSNS) {
		ret->len = (unsigned short)count;
		ret->filter = arena_array(arena, count, sizeof(*ret->filter));
		rc = pread(fd, ret->filter, (size_t)size, 0) == size ? 0 : -1;
	}
	if (fd >= 0)
		close(fd);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot make a filter of %zu instructions, at most %d are allowed",
				 count, BPF_MAXINSNS);
	return 0;
}

int syscall_filter_make(const struct syscall_filter_config *config, struct arena *arena,
			const struct syscall_filter **ret, struct error *e)
{
	struct syscall_filter *filter = arena_alloc(arena, sizeof(*filter));
	scmp_filter_ctx context;
	int rc = -1;

	if (lazy_seccomp_open(e))
		return -1;
	context = seccomp_init(SCMP_ACT_ALLOW);
	if (!context)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot begin a filter");
	if (fill(context, config, filter, e) == 0)
		rc = take_program(context, arena, &filter->program, e);
	seccomp_release(context);
	if (rc == 0)
		*ret = filter;
	return rc;
}

bool syscall_filter_lists(const struct syscall_filter *filter, const char *name)
{
	int number = syscall_number(name, NULL);

	return number >= 0 && filter->listed[number];
}

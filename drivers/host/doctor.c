/* SPDX-License-Identifier: Apache-2.0 */
/* What this host can do for drills with real processes, and why not. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/host/machine_private.h"

typedef void say_function(const char *what, bool yes, const char *detail);

/* Whether the client's link can be captured: by our own right, or as the owner of the network
 * namespaces that a user namespace brings. */
static void check_capture(struct arena *arena, say_function *say, bool owner)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0 || owner)
		say("wire capture", true,
		    fd >= 0 ? "CAP_NET_RAW is there" : "in the namespaces of a drill");
	else
		say("wire capture", false,
		    arena_printf(arena,
				 "%s, it takes CAP_NET_RAW: the client's account of an outage has "
				 "no second opinion",
				 strerror(errno)));
	if (fd >= 0)
		close(fd);
}

static bool check_namespaces(struct arena *arena, say_function *say)
{
	bool user = false;
	int error = machine_probe(&user);

	if (error)
		say("namespaces", false,
		    arena_printf(arena,
				 "%s, without and with a user namespace: machines are processes on "
				 "127.0.0.1, not cut off from one another and the host",
				 strerror(error)));
	else
		say("namespaces", true,
		    user ? "network, mount and PID, in a user namespace of our own"
			 : "network, mount and PID: each machine has its own");
	return error == 0;
}

static void check_cgroups(struct arena *arena, say_function *say)
{
	struct cgroups cgroups;

	cgroups_probe(arena, &cgroups);
	for (int use = 0; use < CGROUP_USES; use++)
		say(arena_printf(arena, "cgroup %s", cgroup_names[use]),
		    cgroups.places[use].path != NULL, cgroups.places[use].why);
}

/* Runs whose owner is dead; *ret_alive: those that are under way. */
static size_t count_dead(struct arena *arena, size_t *ret_alive)
{
	size_t dead = 0;

	*ret_alive = 0;
	for (const char **path = journal_list(arena); *path; path++) {
		struct journal *journal = NULL;
		struct error error = {0};
		/* One that cannot be read keeps a drill from starting too. */
		bool readable = journal_load(*path, -1, arena, &journal, &error) == 0;

		if (readable && journal && journal_owner_lives(journal))
			++*ret_alive;
		else if (!readable || journal)
			dead++;
	}
	return dead;
}

static void check_journal(struct arena *arena, say_function *say)
{
	const char *state = journal_wanted_state(arena), *folder = state;
	size_t alive, dead;

	if (!state) {
		say("undo journal", false, "no folder for it: set DRSIM_STATE or HOME");
		return;
	}
	while (access(folder, F_OK) && strrchr(folder, '/') > folder)
		folder = arena_strndup(arena, folder, (size_t)(strrchr(folder, '/') - folder));
	if (access(folder, W_OK | X_OK)) {
		say("undo journal", false,
		    arena_printf(arena, "cannot write in %s: %s (set DRSIM_STATE)", folder,
				 strerror(errno)));
		return;
	}
	dead = count_dead(arena, &alive);
	if (dead > 0)
		say("undo journal", false,
		    arena_printf(arena, "%zu dead runs left something in %s: run drsim revert",
				 dead, state));
	else
		say("undo journal", true,
		    arena_printf(arena, "in %s, runs under way: %zu", state, alive));
}

void host_doctor(struct arena *arena, say_function *say)
{
	check_capture(arena, say, check_namespaces(arena, say));
	check_cgroups(arena, say);
	check_journal(arena, say);
}

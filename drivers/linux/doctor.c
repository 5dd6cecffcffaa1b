/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism of this folder, tried, and the reason why not. */
#include "drivers/linux/doctor.h"

#include "drivers/host/cgroup.h"
#include "drivers/linux/clock.h"
#include "drivers/linux/kmsg.h"

typedef void say_function(const char *what, bool yes, const char *detail);

static void check_kernel_log(struct arena *arena, say_function *say)
{
	const char *why;
	bool yes = kmsg_probe(NULL, arena, &why);

	say("kernel log", yes, why);
}

static void check_clocks(struct arena *arena, say_function *say)
{
	const char *why;
	bool yes = clock_namespace_probe(arena, &why);

	say("time namespace", yes, why);
	yes = clock_wall_probe(arena, &why);
	say("libfaketime", yes, why);
}

static void check_cgroups(struct arena *arena, say_function *say)
{
	struct cgroup_place places[CGROUP_EXTRAS];

	cgroup_extras_probe(arena, places);
	for (int extra = 0; extra < CGROUP_EXTRAS; extra++)
		say(arena_printf(arena, "cgroup %s", cgroup_extra_names[extra]),
		    places[extra].path != NULL, places[extra].why);
}

void linux_doctor(struct arena *arena, say_function *say)
{
	check_kernel_log(arena, say);
	check_clocks(arena, say);
	check_cgroups(arena, say);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism of this folder, tried, and the reason why not. */
#include "drivers/linux/doctor.h"

#include "drivers/host/cgroup.h"
#include "drivers/linux/clock.h"
#include "drivers/linux/dm.h"
#include "drivers/linux/fuse.h"
#include "drivers/linux/kmsg.h"
#include "drivers/linux/net.h"
#include "drivers/linux/nft.h"
#include "drivers/linux/syscall.h"

typedef void say_function(const char *what, bool yes, const char *detail);

/* What a probe says: `good`, or its error. */
static void tell(struct arena *arena, say_function *say, const char *what, int rc, const char *good,
		 const struct error *e)
{
	say(what, rc == 0, rc == 0 ? good : arena_strdup(arena, e->text));
}

static void check_syscalls(struct arena *arena, say_function *say)
{
	struct error e = {0};
	bool sync = false;
	int rc = syscall_probe(&sync, &e);

	tell(arena, say, "system calls", rc,
	     sync ? "fail, wait and lie, by seccomp user notification"
		  : "fail, wait and lie, by seccomp user notification; an old kernel: slowly",
	     &e);
}

static void check_networks(struct arena *arena, say_function *say)
{
	static const char *const names[NET_BACKENDS] = {
		[NET_NETEM] = "net netem",
		[NET_NFTABLES] = "net nftables",
		[NET_TBF] = "net tbf",
		[NET_LINK] = "net link",
	};
	static const char *const good[NET_BACKENDS] = {
		[NET_NETEM] = "delay, loss, duplicates, corruption, order, rate",
		[NET_NFTABLES] = "loss, partitions and policed rates, which end by themselves",
		[NET_TBF] = "rates",
		[NET_LINK] = "all of it, for chosen packets and again by the seed, in user space",
	};
	struct net_host *host = arena_alloc(arena, sizeof(*host));
	struct error e = {0};
	int rc;

	net_probe(host);
	for (int backend = 0; backend < NET_BACKENDS; backend++)
		say(names[backend], host->has[backend],
		    host->has[backend] ? good[backend] : arena_strdup(arena, host->why[backend]));
	rc = nft_probe(NFT_RESET, true, &e);
	tell(arena, say, "net reset", rc, "connections are reset, by nftables", &e);
}

static void check_files(struct arena *arena, say_function *say)
{
	const char *why = NULL;
	bool yes = fuse_layer_probe(arena, &why);

	say("file layer", yes,
	    yes ? "slow, failing, lying and torn files of machines, by FUSE" : why);
}

static void check_block_devices(struct arena *arena, say_function *say)
{
	const char *why = NULL;
	bool yes = dm_probe(arena, &why);

	say("device-mapper", yes, why);
}

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
	check_syscalls(arena, say);
	check_networks(arena, say);
	check_files(arena, say);
	check_block_devices(arena, say);
	check_kernel_log(arena, say);
	check_clocks(arena, say);
	check_cgroups(arena, say);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a deployment down: threads first, then machines, then what the journal still has; and the
 * proof that nothing is left. What was measured on this host is told on the way. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "drivers/host/residue.h"
#include "drivers/host/undo.h"
#include "drivers/process/effects.h"
#include "drivers/process/network.h"
#include "drivers/process/process.h"
#include "drivers/process/services.h"

#define ANSWER_TIMEOUT (10 * NANOS_S)  /* of requests under way when the drill ends */
#define CHECK_TIMEOUT (60 * NANOS_S)   /* of the last read-back */
#define CAPTURE_KEPT ((off_t)64 << 20) /* bytes of a capture that is kept whole */
#define CAPTURE_MARGIN (5 * NANOS_S)   /* around the outage, of a larger one */

/* ---- the ledger, one last time ---- */

/* Nothing is sent any more, and what was sent is decided: else its answer comes after the read-back
 * has passed it. */
static void let_answer(struct real *real)
{
	const struct deployment *d = &real->scenario->deployment;
	nanos end = real_now(real) + ANSWER_TIMEOUT;
	uint64_t open = 1;

	for (uint32_t e = 0; e < d->endpoint_count; e++)
		client_rate(real->client, e, 0);
	while (open > 0 && real_now(real) < end) {
		open = 0;
		for (uint32_t e = 0; e < d->endpoint_count; e++) {
			struct client_totals totals;
			client_totals(real->client, e, &totals);
			open += totals.open;
		}
		if (open > 0)
			real_sleep(real, real_now(real) + 5 * NANOS_MS, NULL);
	}
}

/* Until the read-backs under way are over. */
static void await_checks(struct real *real)
{
	struct client_event events[16];
	nanos end = real_now(real) + CHECK_TIMEOUT;
	uint32_t waiting = 0;

	for (uint32_t e = 0; e < real->scenario->deployment.endpoint_count; e++)
		waiting += real->checking[e];
	while (waiting > 0 && real_now(real) < end) {
		size_t count = client_events(real->client, events, 16);
		for (size_t i = 0; i < count; i++) {
			if (events[i].kind != CLIENT_CHECKED || !real->checking[events[i].endpoint])
				continue;
			if (events[i].ok)
				real->checked[events[i].endpoint] = true;
			real->checking[events[i].endpoint] = false;
			waiting--;
		}
		real_sleep(real, real_now(real) + 10 * NANOS_MS, NULL);
	}
}

/* One that is under way does not reach what was written since it began. */
static void check_last(struct real *real)
{
	const struct deployment *d = &real->scenario->deployment;
	struct error error = {.kind = ERROR_NONE};

	let_answer(real);
	await_checks(real);
	for (uint32_t e = 0; e < d->endpoint_count; e++)
		if (d->endpoints[e].load.rate > 0)
			real->checking[e] = client_check(real->client, e, &error) == 0;
	await_checks(real);
}

static void tell_ledger(struct real *real, struct measured *ret)
{
	const struct deployment *d = &real->scenario->deployment;

	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		struct ledger_totals totals;
		if (d->endpoints[e].load.rate <= 0)
			continue;
		ledger_totals(client_ledger(real->client, e), &totals);
		ret->ledger_known = true;
		ret->ledger.written += totals.ok + totals.fail + totals.unknown;
		ret->ledger.acknowledged += totals.ok;
		ret->ledger.failed += totals.fail;
		ret->ledger.unknown += totals.unknown;
		ret->ledger.lost += totals.lost;
		ret->ledger.stale += totals.stale;
		ret->ledger.altered += totals.altered;
		ret->ledger.duplicated += totals.duplicated;
		ret->ledger.acknowledged_twice += totals.acknowledged_twice;
		ret->ledger.foreign += totals.never_sent;
		ret->ledger.read_back += totals.checked;
	}
}

/* ---- the wire ---- */

/* The longest outage of any endpoint, held against the capture. */
static void check_wire(struct real *real, struct arena *arena, struct measured *ret)
{
	const struct deployment *d = &real->scenario->deployment;
	struct client_outage outage, longest = {0};
	struct capture_stats stats;
	struct wire_result wire;
	struct error error = {.kind = ERROR_NONE};
	bool any = false, foreign = false;

	ret->wire_reason = real->capture_reason;
	if (!real->capture)
		return;
	capture_stop(real->capture, &stats);
	real->capture = NULL;
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		if (!client_outage(real->client, e, &outage) || outage.until == NANOS_NEVER)
			continue;
		if (services_config(real, e)) {
			foreign = true;
			continue;
		}
		if (!any || outage.until - outage.since > longest.until - longest.since)
			longest = outage;
		any = true;
	}
	ret->wire_reason = foreign ? "the requests of a service's own protocol cannot be told "
				     "apart on the wire"
				   : "there was no outage that ended";
	if (!any)
		return;
	real->outage = longest;
	real->outage_known = true;
	if (wire_check(real->capture_path, &stats, &longest, &wire, &error)) {
		ret->wire_reason = arena_strdup(arena, error.text);
		return;
	}
	ret->wire_reason = wire.reason[0] ? arena_strdup(arena, wire.reason) : NULL;
	ret->wire_known = wire.available;
	if (!wire.available)
		return;
	ret->wire = (struct wire_record){
		.outage_s = (double)wire.outage / 1e9,
		.client_s = (double)wire.client / 1e9,
		.difference_s = (double)wire.difference / 1e9,
		.allowed_s = (double)wire.allowed / 1e9,
		.agrees = wire.agrees,
	};
}

/* ---- the run folder ---- */

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc = -1;
	char block[65536];
	ssize_t got = 0;

	if (in < 0)
		return -1;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	while (out >= 0 && (got = read(in, block, sizeof(block))) > 0)
		if (write(out, block, (size_t)got) != got)
			break;
	if (out >= 0 && got == 0)
		rc = fsync(out);
	if (out >= 0)
		close(out);
	close(in);
	return rc;
}

/* Of a large capture what it has of the outage is kept. */
static int save_capture(struct real *real, const char *to, struct error *e)
{
	struct stat status;

	if (stat(real->capture_path, &status))
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", real->capture_path,
				 strerror(errno));
	if (status.st_size > CAPTURE_KEPT && real->outage_known)
		return wire_excerpt(real->capture_path, to, &real->outage, CAPTURE_MARGIN, e);
	return copy_file(real->capture_path, to)
		       ? error_set(e, ERROR_IO, NO_PLACE, "%s: %s", to, strerror(errno))
		       : 0;
}

/* capture.pcap and ledger.jsonl (of the first endpoint; others as ledger-NAME.jsonl). */
static void save(struct real *real, const char *folder, struct arena *arena, struct measured *ret)
{
	const struct deployment *d = &real->scenario->deployment;
	struct error error = {.kind = ERROR_NONE};
	bool first = true;

	if (real->capture_path && !real->capture_reason &&
	    save_capture(real, arena_printf(arena, "%s/capture.pcap", folder), &error))
		ret->broken = arena_strdup(arena, error.text);
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		const char *name = d->endpoints[e].name;
		if (d->endpoints[e].load.rate <= 0)
			continue;
		const char *path = first ? arena_printf(arena, "%s/ledger.jsonl", folder)
					 : arena_printf(arena, "%s/ledger-%s.jsonl", folder, name);
		first = false;
		if (ledger_write_file(client_ledger(real->client, e), name, path, &error))
			ret->broken = arena_strdup(arena, error.text);
	}
}

static void tell_environment(struct real *real, struct arena *arena, struct measured *ret)
{
	const char *const *lost;
	struct utsname host;

	if (uname(&host) == 0)
		ret->kernel = arena_printf(arena, "%s %s", host.sysname, host.release);
	if (!real->machines)
		return;
	ret->isolation = machine_isolation_names[machines_isolation(real->machines)];
	lost = machines_lost(real->machines);
	for (size_t i = 0; lost[i] && ret->lost_count < ENVIRONMENT_LOST_MAX; i++)
		ret->lost[ret->lost_count++] = arena_strdup(arena, lost[i]);
	if (real->capture_reason && ret->lost_count < ENVIRONMENT_LOST_MAX)
		ret->lost[ret->lost_count++] = arena_printf(
			arena, "the client's link could not be captured: %s", real->capture_reason);
}

/* ---- down ---- */

static void stop_threads(struct real *real)
{
	if (real->client)
		client_stop(real->client);
	probes_stop(real);
	actions_stop(real);
	/* The observer reads of them. */
	observe_stop(real);
	network_stop(real);
	services_stop(real);
}

/* Back to the network that this program was started in. */
static void go_home(struct real *real)
{
	if (real->entered && real->home >= 0)
		real->entered = setns(real->home, CLONE_NEWNET) != 0;
	if (real->home >= 0)
		close(real->home);
	real->home = -1;
}

/* Last in, first out; then a look at all that carries the run's name. */
static void clean(struct real *real, struct arena *arena, struct measured *ret)
{
	struct error error = {.kind = ERROR_NONE};
	struct undo_sum sum = {0};
	const char **texts;
	size_t count;

	if (real->machines)
		machines_close(real->machines, &error);
	real->machines = NULL;
	calls_close(real);
	devices_close_log(real);
	clocks_close(real);
	disks_close(real);
	if (!real->journal)
		return;
	undo_all(real->journal, &sum);
	count = residue_scan(real->journal, &texts);
	for (size_t i = 0; i < count && ret->residue_count < RESIDUE_MAX; i++)
		ret->residue[ret->residue_count++] = arena_strdup(arena, texts[i]);
	journal_close(real->journal);
	real->journal = NULL;
	/* With something left the guardian would try the same again; drsim revert can. */
	if (real->guarded)
		guardian_end(&real->guardian);
	real->guarded = false;
}

void deploy_end(struct real *real, const char *folder, struct arena *arena, struct measured *ret)
{
	if (real->ended)
		return;
	real->ended = true;
	if (real->client) {
		check_last(real);
		client_stop(real->client);
		tell_ledger(real, ret);
		check_wire(real, arena, ret);
		if (folder)
			save(real, folder, arena, ret);
	}
	if (real->broken)
		ret->broken = arena_strdup(arena, real->broken);
	tell_environment(real, arena, ret);
	stop_threads(real);
	copies_close(real->copies);
	real->copies = NULL;
	go_home(real);
	clean(real, arena, ret);
	client_free(real->client);
	real->client = NULL;
	caller_free(real->caller);
	real->caller = NULL;
	unsetenv("DRSIM_RUN");
}

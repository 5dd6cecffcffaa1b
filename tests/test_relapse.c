/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_restored opens the first stable window: what disturbs the service after it is no part of the
 * recovery, unless a fault of the incident can be behind it.
 */
#include "core/record.h"
#include "tests/audit.h"
#include "tests/test.h"

/* The standby is just large enough: single requests come in bursts, and some are late then. */
static const char platform[] =
	"apiVersion: drsim/v1\n"
	"name: bursts\n"
	"description: After the failover bursts disturb the standby.\n"
	"duration: 2h\n"
	"objectives: {frt: 10m}\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, nodes: 2, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 2, shape: gpu.8xh100-sxm,\n"
	"       standby: {heat: hot, replicas: 1, replication_lag: 1s}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - name: chat\n"
	"      site: primary\n"
	"      replicas: 2\n"
	"      gpus_per_replica: 8\n"
	"      model: {bytes: 140GB, start: 45s}\n"
	"      load: {rate: 18/s, service_time: {exponential: {mean: 200ms}}, concurrency: 5,\n"
	"             requests: always}\n"
	"  data:\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 20/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, classes: [io]}\n"
	"detector: {kind: probe, interval: 10s, timeout: 1s, misses: 3}\n"
	"recovery:\n"
	"  switch: 20s\n"
	"  restore: {classes: [io], before_serving: [io]}\n"
	"  repair: {time: 1h}\n"
	"steps:\n"
	"  - {at: 34m, fault: zone.outage, target: primary, for: permanent}\n";

struct drill {
	struct bench bench;
	struct record record;
	struct audit audit;
	struct scenario *scenario;
	char *events;
	cJSON *json;
	const cJSON *incident; /* the only one, in json */
};

/* With further steps, and the latency above which a request is late. */
static void begin(struct drill *d, const char *steps, const char *latency)
{
	size_t size;

	memset(d, 0, sizeof(*d));
	bench_open(&d->bench);
	bench_load(&d->bench.arena,
		   arena_printf(&d->bench.arena,
				"%s%ssteady_state: {success: 99%%, latency: %s, window: 30s}\n",
				platform, steps, latency),
		   &d->scenario);
	bench_run(&d->bench, d->scenario, 1, &d->events, &size, &d->record);
	audit_text(&d->bench, d->events, size, &d->audit);
	audit_check(&d->audit);
	audit_outages(&d->audit, d->scenario->steady_state.window);
	d->json = bench_record(&d->bench, d->bench.folder);
	audit_compare(&d->audit, d->json);
	const cJSON *incidents = audit_field(d->json, "incidents");
	ck_assert_int_eq(cJSON_GetArraySize(incidents), 1);
	d->incident = cJSON_GetArrayItem(incidents, 0);
	ck_assert_uint_gt(d->audit.outage_count, 1);
}

static void end(struct drill *d)
{
	cJSON_Delete(d->json);
	audit_free(&d->audit);
	free(d->events);
	bench_close(&d->bench);
}

START_TEST(bursts_after_the_failover_are_no_part_of_it)
{
	struct drill d;
	nanos later = 0;

	begin(&d, "", "1500ms");
	const struct outage *outages = d.audit.outages;
	ck_assert_str_eq(d.audit.incidents[0].path, "failover");
	/* The first outage is the fault's, and it ends where the recovery does. */
	ck_assert_int_eq(d.audit.incidents[0].t[T_RESTORED], outages[0].to);
	ck_assert_int_ge(outages[1].from - outages[0].to, d.scenario->steady_state.window);
	for (size_t i = 1; i < d.audit.outage_count; i++)
		later += outages[i].to - outages[i].from;
	ck_assert_int_eq(audit_number(d.incident, "relapses"), (nanos)d.audit.outage_count - 1);
	ck_assert_int_eq(audit_number(d.incident, "relapsed_ns"), later);
	end(&d);
}
END_TEST

START_TEST(a_later_fault_of_the_incident_is_part_of_it)
{
	struct drill d;

	begin(&d, "  - {at: 60m, fault: zone.outage, target: backup, for: 2m}\n", "10s");
	const struct outage *last = &d.audit.outages[d.audit.outage_count - 1];
	ck_assert_uint_eq(d.audit.incidents[0].faults, 2);
	ck_assert_int_ge(last->from, (nanos)60 * NANOS_MINUTE);
	ck_assert_int_ge(d.audit.incidents[0].t[T_RESTORED], last->to);
	ck_assert_int_eq(audit_number(d.incident, "relapses"), 0);
	end(&d);
}
END_TEST

/* It began before the service was good again, and is still there where it serves now. */
START_TEST(a_pulse_on_the_standby_is_part_of_it)
{
	struct drill d;

	begin(&d,
	      "  - {at: 2070s, fault: net.partition, target: backup, for: 30m,\n"
	      "     pulse: {active: 5s, dormant: 10m}}\n",
	      "10s");
	const struct outage *last = &d.audit.outages[d.audit.outage_count - 1];
	ck_assert_uint_eq(d.audit.incidents[0].faults, 2);
	ck_assert_int_ge(last->from, (nanos)2675 * NANOS_S);
	ck_assert_int_ge(d.audit.incidents[0].t[T_RESTORED], last->to);
	ck_assert_int_eq(audit_number(d.incident, "relapses"), 0);
	end(&d);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "bursts", bursts_after_the_failover_are_no_part_of_it);
	test_add(suite, "later fault", a_later_fault_of_the_incident_is_part_of_it);
	test_add(suite, "pulse on the standby", a_pulse_on_the_standby_is_part_of_it);
}

TEST_MAIN("relapse", add_cases)

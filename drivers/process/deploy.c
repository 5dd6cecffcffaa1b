/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a deployment up: its machines, its data, the platform on them, and waiting until all
 * of it serves. Taking it down again is in deploy_end.c. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drivers/host/undo.h"
#include "drivers/lazy/curl.h"
#include "drivers/process/effects.h"
#include "drivers/process/network.h"
#include "drivers/process/planned.h"
#include "drivers/process/process.h"
#include "drivers/process/services.h"
#include "drivers/process/training.h"

#define START_TIMEOUT (30 * NANOS_S)  /* until a server listens, real time */
#define READY_TIMEOUT (120 * NANOS_S) /* beyond the declared start of the slowest replica */
#define CONNECTIONS_MIN 64.0
#define SLICE (250 * NANOS_MS)          /* of requests, for the timeline */
#define CAPTURE_MAX ((uint64_t)4 << 30) /* of the work file; what is kept is an excerpt */
#define STORE_DISK ((uint64_t)1 << 30)
#define SITE_ROOM ((uint64_t)512 << 20) /* for what a site's volume gets beyond its declared data */
#define SITE_INODES 65536               /* few enough that a fault can take them all */

/* ---- names ---- */

/* The platform's names are a letter, then letters, digits and '-'. */
const char *deploy_platform_name(char *name)
{
	for (char *at = name; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
		else if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9')))
			*at = '-';
	}
	if (!(name[0] >= 'a' && name[0] <= 'z'))
		name[0] = 'x';
	return name;
}

const char *deploy_endpoint(const struct real *real, uint32_t endpoint, char *name, size_t room)
{
	snprintf(name, room, "%s", real->scenario->deployment.endpoints[endpoint].name);
	return deploy_platform_name(name);
}

const char *deploy_name(const struct real *real, uint32_t endpoint, uint32_t site, char *name,
			size_t room)
{
	const struct deployment *d = &real->scenario->deployment;

	snprintf(name, room, "%s-%s", d->endpoints[endpoint].name, d->sites[site].name);
	return deploy_platform_name(name);
}

uint32_t deploy_replicas(const struct real *real, uint32_t endpoint, uint32_t site)
{
	const struct deployment *d = &real->scenario->deployment;
	const struct site *config = &d->sites[site];

	if (config->standby.heat == HEAT_NONE)
		return d->endpoints[endpoint].site == site ? d->endpoints[endpoint].replicas : 0;
	if (services_config(real, endpoint))
		return 1;
	return config->standby.replicas ? config->standby.replicas
					: d->endpoints[endpoint].replicas;
}

static int run_id(struct real *real, struct error *e)
{
	uint8_t bytes[20];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "getrandom: %s", strerror(errno));
	snprintf(real->run, sizeof(real->run), "%ld-%02x%02x%02x%02x", (long)getpid(), bytes[0],
		 bytes[1], bytes[2], bytes[3]);
	for (size_t i = 0; i < 16; i++)
		snprintf(real->token + 2 * i, 3, "%02x", bytes[4 + i]);
	return 0;
}

/* minilepton lies beside this program. */
static int find_program(struct real *real, struct error *e)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (length < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "/proc/self/exe: %s",
				 strerror(errno));
	path[length] = '\0';
	slash = strrchr(path, '/');
	/* A test program lies one folder below. */
	for (int up = 0; up < 2 && slash; up++) {
		*slash = '\0';
		const char *program = arena_printf(&real->arena, "%s/minilepton", path);
		if (access(program, X_OK) == 0) {
			real->program = program;
			return 0;
		}
		slash = strrchr(path, '/');
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "the program 'minilepton', which the driver process starts, is not beside "
			 "drsim; build or install it");
}

static int folder(struct error *e, const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST
		       ? error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s", path,
				   strerror(errno))
		       : 0;
}

/* ---- machines ---- */

/* The volume of a site is of limited size where we may mount one. */
static void mount_volume(struct real *real, uint32_t site, const char *path)
{
	const struct deployment *d = &real->scenario->deployment;
	struct undo undo = {.kind = UNDO_UNMOUNT, .path = path};
	struct error error = {.kind = ERROR_NONE};
	uint64_t bytes = SITE_ROOM;
	char options[96];

	for (int c = 0; c < DATA_CLASSES; c++)
		bytes += 2 * d->data[c].bytes;
	for (uint32_t e = 0; e < d->endpoint_count; e++)
		bytes += d->endpoints[e].model_bytes;
	bytes += training_room(real, site);
	snprintf(options, sizeof(options), "size=%llu,nr_inodes=%d,mode=0755",
		 (unsigned long long)bytes, SITE_INODES);
	if (journal_add(real->journal, &undo, &error))
		return;
	real->volumes[site] = mount("drsim", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
	if (!real->volumes[site])
		journal_done(real->journal, undo.number, &error);
}

static struct machine_config *add_machine(struct machine_config *machines, size_t *count,
					  const char *name, uint32_t site)
{
	struct machine_config *machine = &machines[(*count)++];

	*machine = (struct machine_config){.name = name, .site = site};
	return machine;
}

static void add_nodes(struct real *real, struct machine_config *machines, size_t *count)
{
	const struct scenario *scenario = real->scenario;
	const struct deployment *d = &scenario->deployment;
	const char *work = real->journal->work;

	for (uint32_t s = 0; s < d->site_count; s++) {
		real->first_node[s] = (uint32_t)real->node_count;
		for (uint32_t n = 0; n < d->sites[s].nodes; n++) {
			size_t k = real->node_count++;
			struct node *node = &real->nodes[k];
			struct machine_config *machine =
				add_machine(machines, count, node->name, s);
			node->site = s;
			node->index = n;
			node->power = true;
			node->cpu_left = node->memory_left = EFFECT_PPM;
			snprintf(node->name, sizeof(node->name), "%s/node[%u]", d->sites[s].name,
				 n);
			machine->disk = arena_printf(&real->arena, "%s/nodes/%zu/disk", work, k);
			machine->disk_bytes = scenario->process.disk;
			machine->devices = arena_printf(&real->arena, "%s/nodes/%zu/dev", work, k);
			machine->device_count = d->sites[s].gpus;
			node->devices = machine->devices;
			node->disk = machine->disk;
		}
	}
}

static int make_machines(struct real *real, struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;
	struct arena *arena = &real->arena;
	const char *work = real->journal->work;
	size_t edge = d->site_count, count = 0;
	struct machine_site *sites = arena_array(arena, edge + 1, sizeof(*sites));
	struct machine_config *machines =
		arena_array(arena, PROCESS_NODES_MAX + 4 + edge, sizeof(*machines));

	for (uint32_t s = 0; s < edge; s++) {
		const char *path = arena_printf(arena, "%s/sites/%s", work, d->sites[s].name);
		sites[s] = (struct machine_site){.name = d->sites[s].name, .storage = path};
		if (folder(e, arena_printf(arena, "%s/sites", work)) || folder(e, path))
			return -1;
		mount_volume(real, s, path);
	}
	sites[edge] = (struct machine_site){.name = "edge"};
	add_nodes(real, machines, &count);
	size_t first = count;
	add_machine(machines, &count, "control", (uint32_t)edge);
	add_machine(machines, &count, "gateway", (uint32_t)edge);
	struct machine_config *store = add_machine(
		machines, &count, "store", d->store.declared ? d->store.site : (uint32_t)edge);
	store->disk = arena_printf(arena, "%s/store", work);
	store->disk_bytes = STORE_DISK;
	add_machine(machines, &count, "client", (uint32_t)edge)->place_only = true;
	for (uint32_t s = 0; s < edge; s++)
		add_machine(machines, &count, d->sites[s].name, s)->place_only = true;
	struct machines_config *config = arena_alloc(arena, sizeof(*config));
	*config = (struct machines_config){
		.sites = sites,
		.site_count = edge + 1,
		.machines = machines,
		.machine_count = count,
		.loopback_only = real->scenario->process.isolation == ISOLATION_LOOPBACK,
	};
	real->machine_configs = machines;
	if (machines_open(config, real->journal, arena, &real->machines, e))
		return -1;
	if (real->scenario->process.isolation == ISOLATION_NAMESPACES &&
	    machines_isolation(real->machines) != MACHINE_NAMESPACES)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the scenario asks for 'isolation: namespaces', which this host "
				 "does not allow: drsim doctor says why");
	for (size_t i = 0; i < real->node_count; i++)
		real->nodes[i].machine = machines_get(real->machines, i);
	real->control_machine = machines_get(real->machines, first);
	real->gateway_machine = machines_get(real->machines, first + 1);
	real->store_machine = machines_get(real->machines, first + 2);
	real->store_disk = store->disk;
	real->client_machine = machines_get(real->machines, first + 3);
	for (uint32_t s = 0; s < edge; s++)
		real->site_machines[s] = machines_get(real->machines, first + 4 + s);
	return 0;
}

/* ---- servers ---- */

/* The token of the platform, and what else a server's environment needs. Not in its command line,
 * which every user of this host can read: an agent starts programs for whoever has the token. */
static const char *const *server_environment(struct real *real, const char *const *more)
{
	const char **words;
	size_t count = 0;

	while (more && more[count])
		count++;
	words = arena_array(&real->arena, count + 2, sizeof(*words));
	if (count > 0)
		memcpy(words, more, count * sizeof(*words));
	words[count] = arena_printf(&real->arena, "MINILEPTON_TOKEN=%s", real->token);
	return words;
}

/* Starts a server of minilepton on a machine; its address goes to `ret_url` as http://A:P. `more`:
 * what its start needs beside. */
static int serve(struct real *real, struct machine *machine, const char *const *argv,
		 const char *log, const struct machine_start *more, char ret_url[PROCESS_URL_MAX],
		 struct error *e)
{
	char address[MACHINE_ADDRESS_MAX];
	struct machine_start start = more ? *more : (struct machine_start){.argv = NULL};

	start.argv = argv;
	start.environment = server_environment(real, start.environment);
	start.log = arena_printf(&real->arena, "%s/%s.log", real->log, log);
	if (machine_start(machine, &start, e) ||
	    machine_listening(machine, START_TIMEOUT, address, e))
		return -1;
	snprintf(ret_url, PROCESS_URL_MAX, "http://%s", address);
	return 0;
}

static const char *listen_at(struct real *real, struct machine *machine, uint32_t count,
			     uint16_t *ret_port, struct error *e)
{
	if (*ret_port == 0 && machine_ports(machine, count, ret_port, e))
		return NULL;
	return arena_printf(&real->arena, "%s:%u", machine_address(machine), (unsigned)*ret_port);
}

int deploy_node(struct real *real, struct node *node, struct error *e)
{
	struct arena *arena = &real->arena;
	const struct site *site = &real->scenario->deployment.sites[node->site];
	const char *listen = listen_at(real, node->machine, PROCESS_PORTS, &node->port, e);

	if (!listen)
		return -1;
	const char *const argv[] = {
		real->program, "node",
		"--name",      node->name,
		"--listen",    listen,
		"--devices",   node->devices,
		"--gpus",      arena_printf(arena, "%u", site->gpus),
		"--run-dir",   node->disk,
		"--kmsg",      real->kernel_log,
		NULL,
	};
	const struct machine_start more = {
		.filter = calls_launch(real, node),
		.environment = clocks_environment(real, node),
	};
	if (serve(real, node->machine, argv,
		  arena_printf(arena, "node-%u-%u", node->site, node->index), &more, node->agent,
		  e))
		return -1;
	node->down = false;
	return 0;
}

static int start_store(struct real *real, struct error *e)
{
	uint16_t port = 0;
	const char *listen = listen_at(real, real->store_machine, 1, &port, e);

	if (!listen)
		return -1;
	const char *const argv[] = {
		real->program, "store", "--listen", listen, "--dir", real->store_disk, NULL,
	};
	return serve(real, real->store_machine, argv, "store", NULL, real->store_url, e);
}

static int start_gateway(struct real *real, struct error *e)
{
	const char *listen = listen_at(real, real->gateway_machine, 1, &real->gateway_port, e);

	if (!listen)
		return -1;
	const char *const argv[] = {
		real->program, "gateway", "--listen", listen, NULL,
	};
	return serve(real, real->gateway_machine, argv, "gateway", NULL, real->gateway, e);
}

static int start_control(struct real *real, struct error *e)
{
	const char *listen = listen_at(real, real->control_machine, 1, &real->control_port, e);
	const char *spec = arena_printf(&real->arena, "%s/spec.json", real->journal->work);
	const char *state = arena_printf(&real->arena, "%s/control.json", real->journal->work);

	if (!listen || deploy_spec(real, spec, e))
		return -1;
	const char *const argv[] = {
		real->program, "control", "--listen",  listen,        "--spec", spec,
		"--state",     state,     "--gateway", real->gateway, NULL,
	};
	return serve(real, real->control_machine, argv, "control", NULL, real->control, e);
}

static int start_platform(struct real *real, struct error *e)
{
	for (size_t i = 0; i < real->node_count; i++)
		if (deploy_node(real, &real->nodes[i], e))
			return -1;
	return start_store(real, e) || start_gateway(real, e) || start_control(real, e) ? -1 : 0;
}

/* ---- orders to the platform ---- */

int deploy_scale(struct real *real, struct caller *caller, uint32_t endpoint, uint32_t site,
		 uint32_t replicas, struct error *e)
{
	char name[256], url[PROCESS_URL_MAX + 300], body[128];

	if (services_config(real, endpoint)) {
		services_scale(real, endpoint, site, replicas > 0);
		return 0;
	}
	deploy_name(real, endpoint, site, name, sizeof(name));
	snprintf(url, sizeof(url), "%s/deployments/%s", real->control, name);
	snprintf(body, sizeof(body), "{\"spec\":{\"resource_requirement\":{\"min_replicas\":%u}}}",
		 replicas);
	/* A patch that changes nothing is refused by the platform: it is as we want it. */
	struct error why = {.kind = ERROR_NONE};
	if (call_json(caller, "PATCH", url, body, 10 * NANOS_S, NULL, &why) == 0 ||
	    strstr(why.text, "no valid field"))
		return 0;
	return error_set(e, why.kind, NO_PLACE, "%s", why.text);
}

int deploy_route(struct real *real, struct caller *caller, uint32_t endpoint, uint32_t site,
		 struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;
	struct adapter_config adapter;
	char name[256], url[PROCESS_URL_MAX + 300], *body;

	if (services_config(real, endpoint)) {
		services_adapter(real, endpoint, site, &adapter);
		client_adapter(real->client, endpoint, &adapter, site);
		return 0;
	}
	cJSON *patch = cJSON_CreateObject(), *spec = cJSON_AddObjectToObject(patch, "spec");
	cJSON *endpoints = cJSON_AddArrayToObject(spec, "endpoints");

	for (uint32_t s = 0; s < d->site_count; s++) {
		if (deploy_replicas(real, endpoint, s) == 0)
			continue;
		cJSON *one = cJSON_CreateObject();
		cJSON_AddStringToObject(one, "deployment",
					deploy_name(real, endpoint, s, name, sizeof(name)));
		cJSON_AddNumberToObject(one, "weight", s == site ? 100 : 0);
		cJSON_AddItemToArray(endpoints, one);
	}
	body = cJSON_PrintUnformatted(patch);
	assert(body);
	deploy_endpoint(real, endpoint, name, sizeof(name));
	snprintf(url, sizeof(url), "%s/ingress/%s", real->control, name);
	struct error why = {.kind = ERROR_NONE};
	int rc = call_json(caller, "PATCH", url, body, 10 * NANOS_S, NULL, &why);
	if (rc && strstr(why.text, "no valid field"))
		rc = 0;
	else if (rc)
		error_set(e, why.kind, NO_PLACE, "%s", why.text);
	free(body);
	cJSON_Delete(patch);
	return rc;
}

/* ---- until it serves ---- */

/* Everything that should run before time 0. */
static bool all_ready(struct real *real, const struct view *view)
{
	const struct deployment *d = &real->scenario->deployment;

	for (uint32_t e = 0; e < d->endpoint_count; e++)
		for (uint32_t s = 0; s < d->site_count; s++) {
			bool runs = d->sites[s].standby.heat == HEAT_NONE ||
				    d->sites[s].standby.heat == HEAT_HOT;
			uint32_t ready = 0;
			for (size_t r = 0; r < view->replica_count; r++)
				ready += view->replicas[r].endpoint == e &&
					 view->replicas[r].site == s && view->replicas[r].ready;
			if (runs && ready < deploy_replicas(real, e, s))
				return false;
		}
	for (size_t i = 0; i < real->node_count; i++)
		if (!view->nodes[i].responding)
			return false;
	return training_ready(real, view);
}

static bool gateway_serves(struct real *real)
{
	const struct deployment *d = &real->scenario->deployment;
	char url[PROCESS_URL_MAX + 300];

	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		char name[256];
		if (services_config(real, e))
			continue;
		deploy_endpoint(real, e, name, sizeof(name));
		snprintf(url, sizeof(url), "%s/%s/healthz", real->gateway, name);
		if (!call_ok(real->caller, url, NANOS_S))
			return false;
	}
	return true;
}

/* What would end the drill waits until its deployment is up, or is seen here. */
static bool is_stopped(const sigset_t *ends)
{
	sigset_t pending;

	if (sigpending(&pending))
		return false;
	for (int number = 1; number < SIGRTMIN; number++)
		if (sigismember(ends, number) > 0 && sigismember(&pending, number) > 0)
			return true;
	return false;
}

static int wait_ready(struct real *real, const sigset_t *ends, struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;
	nanos limit = READY_TIMEOUT, begun = real_now(real);
	bool pods = false;

	for (uint32_t i = 0; i < d->endpoint_count; i++) {
		nanos start = (nanos)dist_quantile(&d->endpoints[i].model_start, 0.999);
		limit = start + READY_TIMEOUT > limit ? start + READY_TIMEOUT : limit;
	}
	while (real_now(real) - begun < limit) {
		observe_fresh(real, real->scratch);
		pods = all_ready(real, real->scratch);
		if (pods && gateway_serves(real))
			return 0;
		if (services_failed(real, e))
			return -1;
		if (is_stopped(ends))
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "stopped by a signal before the deployment was ready");
		real_sleep(real, real_now(real) + 50 * NANOS_MS, NULL);
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "the deployment was not ready within %.0f s (%s)", (double)limit / 1e9,
			 pods ? "the gateway does not serve"
			      : "nodes, replicas or ranks are missing");
}

/* ---- the client ---- */

/* So many that answers which are late already still have theirs; past them a request counts as bad
 * unsent, instead of a storm of connections. */
static uint32_t connections_for(const struct load *load, const struct scenario *scenario)
{
	double busy = load->rate * (double)scenario->steady_state.latency / 1e9;

	return (uint32_t)fmin(fmax(4 * busy, CONNECTIONS_MIN), CLIENT_CONNECTIONS_MAX);
}

static int start_client(struct real *real, struct error *e)
{
	const struct scenario *scenario = real->scenario;
	const struct deployment *d = &scenario->deployment;
	struct arena *arena = &real->arena;
	struct client_endpoint_config *endpoints =
		arena_array(arena, d->endpoint_count + 1, sizeof(*endpoints));
	const char **sites = arena_array(arena, d->site_count + 1, sizeof(*sites));
	const struct data *io = &d->data[DATA_IO];

	for (uint32_t s = 0; s < d->site_count; s++)
		sites[s] = d->sites[s].name;
	for (uint32_t i = 0; i < d->endpoint_count; i++) {
		const struct endpoint *endpoint = &d->endpoints[i];
		char name[256];
		deploy_endpoint(real, i, name, sizeof(name));
		endpoints[i] = (struct client_endpoint_config){
			.name = endpoint->name,
			.rate = endpoint->load.rate,
			.arrival = endpoint->load.poisson ? CLIENT_POISSON : CLIENT_CONSTANT,
			.latency_limit = scenario->steady_state.latency,
			.timeout = endpoint->load.timeout > scenario->steady_state.latency
					   ? endpoint->load.timeout
					   : scenario->steady_state.latency,
			.connections = connections_for(&endpoint->load, scenario),
			.payload_bytes = io->records > 0 ? io->change / io->records : 0,
			.expect = client_expect_digest,
			.expect_self = copies_weights_digest(real->copies, i),
			.success = scenario->steady_state.success,
			.window = scenario->steady_state.window,
		};
		endpoints[i].adapter = (struct adapter_config){
			.kind = ADAPTER_HTTP,
			.host = machine_address(real->gateway_machine),
			.port = real->gateway_port,
			.path = arena_printf(arena, "/%s/predict", name),
			.records_path = arena_printf(arena, "/%s/records", name),
			.timeout = 10 * NANOS_S,
		};
		if (!services_config(real, i))
			continue;
		endpoints[i].expect = NULL; /* that it was stored is all that it says */
		services_adapter(real, i, endpoint->site, &endpoints[i].adapter);
	}
	const struct client_config config = {
		.seed = real->seed,
		.start = real->start,
		.netns = machine_network(real->client_machine),
		.endpoints = endpoints,
		.endpoint_count = d->endpoint_count,
		.sites = sites,
		.site_count = d->site_count,
		.slice = SLICE,
	};
	if (client_open(&config, &real->client, e))
		return -1;
	for (uint32_t i = 0; i < d->endpoint_count; i++)
		if (services_config(real, i))
			ledger_site(client_ledger(real->client, i), d->endpoints[i].site);
	return client_start(real->client, e);
}

static void start_capture(struct real *real)
{
	bool loopback = machines_isolation(real->machines) == MACHINE_LOOPBACK;
	struct error error = {.kind = ERROR_NONE};
	const struct capture_config config = {
		.path = arena_printf(&real->arena, "%s/capture.pcap", real->journal->work),
		.interface = loopback ? "lo" : "eth0",
		.netns = machine_network(real->client_machine),
		/* Each machine counts its ports anew: what is said to agents may have the same one,
		 * and holds what a scenario takes from the environment. */
		.host = machine_address(real->gateway_machine),
		.ports = {real->gateway_port},
		.port_count = 1,
		.max_bytes = CAPTURE_MAX,
	};

	real->capture_path = config.path;
	if (capture_start(&config, &real->capture, &error))
		real->capture_reason = arena_strdup(&real->arena, error.text);
}

/* ---- all of it ---- */

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

static int check_services(const struct deployment *d, struct error *e)
{
	for (size_t i = 0; i < d->service_count; i++)
		if (d->services[i].ledger.count == 0)
			return error_set(e, ERROR_UNAVAILABLE, d->services[i].place,
					 "a real drill needs 'ledger' of service '%s': its command "
					 "is how drsim's client reaches the server",
					 d->services[i].name);
	/* What a server replicates by itself has no instant that anybody here knows. */
	for (size_t s = 0; s < d->site_count && d->service_count > 0; s++)
		if (d->sites[s].standby.heat == HEAT_HOT)
			return error_set(e, ERROR_UNAVAILABLE, d->sites[s].place,
					 "a real drill starts service '%s' on a standby when that "
					 "takes over: '%s' is warm or cold, not hot",
					 d->services[0].name, d->sites[s].name);
	return 0;
}

/* As many as the scenario asks for; what is tried again after a failure comes on top. */
static int check_backups(const struct scenario *scenario, struct error *e)
{
	int64_t backups = 0;

	for (size_t i = 0; i < scenario->policy_count; i++) {
		const struct backup_policy *policy = &scenario->policies[i];
		backups +=
			1 + (policy->every == NANOS_NEVER ? 0 : scenario->duration / policy->every);
		if (backups > PROCESS_BACKUPS_MAX / 2)
			return error_set(e, ERROR_LIMIT, policy->place,
					 "the driver process makes at most %d backups in one drill",
					 PROCESS_BACKUPS_MAX / 2);
	}
	return 0;
}

static int check_size(const struct real *real, struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;
	size_t nodes = 0, replicas = 0;

	for (uint32_t s = 0; s < d->site_count; s++) {
		nodes += d->sites[s].nodes;
		for (uint32_t i = 0; i < d->endpoint_count; i++)
			replicas += deploy_replicas(real, i, s);
	}
	if (d->job_count > PROCESS_JOBS_MAX)
		return error_set(e, ERROR_LIMIT, d->jobs[PROCESS_JOBS_MAX].place,
				 "the driver process plays at most %d training jobs on one host",
				 PROCESS_JOBS_MAX);
	if (check_services(d, e) || check_backups(real->scenario, e))
		return -1;
	if (nodes > PROCESS_NODES_MAX)
		return error_set(e, ERROR_LIMIT, d->sites[0].place,
				 "the driver process plays at most %d nodes on one host, the "
				 "scenario has %zu",
				 PROCESS_NODES_MAX, nodes);
	if (replicas > PROCESS_REPLICAS_MAX)
		return error_set(e, ERROR_LIMIT, d->sites[0].place,
				 "the driver process plays at most %d replicas on one host, the "
				 "scenario has %zu",
				 PROCESS_REPLICAS_MAX, replicas);
	return 0;
}

static bool reaches(void *self, uint32_t from, uint32_t to)
{
	return network_reaches(self, from, to);
}

static int make_copies(struct real *real, struct error *e)
{
	const struct copies_config config = {
		.scenario = real->scenario,
		.folder = arena_printf(&real->arena, "%s/sites", real->journal->work),
		.seed = real->seed,
		.now = real_now,
		.reaches = reaches,
		.self = real,
	};

	return copies_open(&config, &real->copies, e);
}

static int open_all(struct real *real, const sigset_t *ends, struct error *e)
{
	struct arena *arena = &real->arena;

	real->start = monotonic();
	real->scratch = calloc(1, sizeof(*real->scratch));
	assert(real->scratch);
	if (check_size(real, e) || lazy_curl_open(e) || run_id(real, e) || find_program(real, e) ||
	    journal_open(real->run, arena, &real->journal, e))
		return -1;
	/* Whatever is started from here on carries it, and can be found by it. */
	if (setenv("DRSIM_RUN", real->run, 1))
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	real->log = arena_printf(arena, "%s/log", real->journal->work);
	real->guarded = guardian_start(&real->guardian, real->journal, e) == 0;
	if (!real->guarded || folder(e, real->log) || make_machines(real, e) ||
	    make_copies(real, e) || training_open(real, e) || planned_open(real, e) ||
	    network_open(real, e) || calls_open(real, e) || devices_open_log(real, e) ||
	    clocks_open(real, e) || disks_open(real, real->machine_configs, e))
		return -1;
	real->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	/* The agents first: machines are started before the first thread is. */
	if (start_platform(real, e) || machine_enter(real->client_machine, e))
		return -1;
	real->entered = true;
	real->caller = caller_new(real->token);
	if (services_start(real, e) || network_start(real, e) || observe_start(real, e) ||
	    wait_ready(real, ends, e))
		return -1;
	real->backups = calloc(PROCESS_BACKUPS_MAX, sizeof(*real->backups));
	assert(real->backups);
	for (uint32_t i = 0; i < real->scenario->deployment.endpoint_count; i++) {
		real->route[i] = real->scenario->deployment.endpoints[i].site;
		real->rate[i] = real->scenario->deployment.endpoints[i].load.rate;
	}
	start_capture(real);
	/* Time begins when all of it serves. */
	real->start = monotonic();
	if (training_start(real, e) || probes_start(real, e) || copies_start(real->copies, e) ||
	    start_client(real, e))
		return -1;
	return 0;
}

/* It may take minutes, in which the run loop does not look for signals yet. No other thread takes
 * them, and what is started here has them all. */
int deploy_open(struct real *real, struct error *e)
{
	sigset_t ends, before;
	int rc;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, &before);
	rc = open_all(real, &ends, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

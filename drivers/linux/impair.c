/* SPDX-License-Identifier: Apache-2.0 */
/* The fate of packets: loss models, delays, a line of some rate. */
#include "drivers/linux/impair.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/stats.h"

#define RATE_MAX ((uint64_t)1000000000000) /* bytes per second, and bytes that wait */
#define MTU_MIN 68                         /* RFC 791: what every host must take in one piece */
#define LINE_MAX (INT64_MAX / 4)           /* 73 years: that a buffer or a limit can stand for */
#define SLOW_RATE 125000000                /* 1 Gbit/s: 64 KiB take half a millisecond */

#define PARETO_SHAPE 3.0
/* Of a Pareto distribution of shape 3 and scale 1. */
#define PARETO_MEAN 1.5
#define PARETO_DEVIATION 0.86602540378443865 /* sqrt(3) / 2 */
/* Of a quarter normal and three quarters Pareto, both of deviation 1, at the same quantile. */
#define PARETONORMAL_DEVIATION 0.93775385687

/* Which random number of a packet is for what: fixed places, so that a change of one thing leaves
 * the others as they are. */
enum draw {
	DRAW_LOSS,
	DRAW_LOSS_AGAIN, /* random: repeat the last one; else: the state after this packet */
	DRAW_DUPLICATE,
	DRAW_REORDER,
	DRAW_REORDER_AGAIN,
	DRAW_COPY, /* three of each copy: */
	DRAW_DELAY = 0,
	DRAW_CORRUPT,
	DRAW_BIT,
	DRAWS_OF_COPY,
};
#define DRAWS (DRAW_COPY + DRAWS_OF_COPY * IMPAIR_COPIES_MAX)

__extension__ typedef unsigned __int128 uint128;

const char *const impair_direction_names[] = {"to", "from", "both", NULL};
const char *const impair_distribution_names[] = {"uniform", "normal", "pareto", "paretonormal",
						 NULL};

/* ---- what may be asked for ---- */

static int check_share(const char *name, double share, struct error *e)
{
	if (share >= 0 && share <= 1)
		return 0;
	return error_set(e, ERROR_USAGE, NO_PLACE, "%s must be between 0%% and 100%%", name);
}

static int check_delay(const struct impair_config *config, struct error *e)
{
	if (config->delay.latency < 0 || config->delay.latency > IMPAIR_DELAY_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE, "latency must be between 0 and 1 h");
	if (config->delay.jitter < 0 || config->delay.jitter > IMPAIR_DELAY_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE, "jitter must be between 0 and 1 h");
	if (config->reorder.probability > 0 && config->delay.latency == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "reorder needs a latency: only what waits can be overtaken");
	return 0;
}

static int check_loss(const struct impair_config *config, struct error *e)
{
	const struct {
		const char *name;
		double share;
	} rows[] = {
		{"loss", config->loss.probability},
		{"correlation of loss", config->loss.correlation},
		{"p", config->loss.p},
		{"r", config->loss.r},
		{"1-h", config->loss.one_h},
		{"1-k", config->loss.one_k},
		{"p13", config->loss.p13},
		{"p31", config->loss.p31},
		{"p32", config->loss.p32},
		{"p23", config->loss.p23},
		{"p14", config->loss.p14},
		{"p13 + p14", config->loss.p13 + config->loss.p14},
		{"p31 + p32", config->loss.p31 + config->loss.p32},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (check_share(rows[i].name, rows[i].share, e))
			return -1;
	return 0;
}

int impair_check(const struct impair_config *config, struct error *e)
{
	if (check_delay(config, e) || check_loss(config, e) ||
	    check_share("correlation of delay", config->delay.correlation, e) ||
	    check_share("duplicate", config->duplicate, e) ||
	    check_share("corrupt", config->corrupt, e) ||
	    check_share("reorder", config->reorder.probability, e) ||
	    check_share("correlation of reorder", config->reorder.correlation, e))
		return -1;
	if (config->rate.bytes_per_s > RATE_MAX || config->rate.buffer > RATE_MAX ||
	    config->rate.limit > RATE_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "rate, buffer and limit must be at most 1 TB");
	if (config->rate.bytes_per_s == 0 && (config->rate.buffer || config->rate.limit))
		return error_set(e, ERROR_USAGE, NO_PLACE, "buffer and limit need a rate");
	if (config->mtu && config->mtu < MTU_MIN)
		return error_set(e, ERROR_USAGE, NO_PLACE, "mtu must be at least %d bytes",
				 MTU_MIN);
	return 0;
}

double impair_loss_share(const struct impair_config *config)
{
	double bad, burst;

	switch (config->loss.model) {
	case IMPAIR_LOSS_NONE:
		return 0;
	case IMPAIR_LOSS_RANDOM:
		return config->loss.probability;
	case IMPAIR_LOSS_GEMODEL:
		if (config->loss.p == 0)
			return config->loss.one_k;
		bad = config->loss.p / (config->loss.p + config->loss.r);
		return bad * config->loss.one_h + (1 - bad) * config->loss.one_k;
	case IMPAIR_LOSS_STATE:
		if (config->loss.p13 == 0)
			return config->loss.p14 / (1 + config->loss.p14);
		/* Once in a burst; of these packets the share that is lost. A burst that is never
		 * left, or whose received part is never left, is all there is in the long run. */
		if (config->loss.p23 == 0 && config->loss.p32 > 0)
			return 0;
		burst = config->loss.p32 > 0 ? config->loss.p32 / config->loss.p23 : 0;
		if (config->loss.p31 == 0)
			return 1 / (1 + burst);
		bad = config->loss.p13 / config->loss.p31;
		return (config->loss.p14 + bad) / (1 + config->loss.p14 + bad * (1 + burst));
	}
	return 0;
}

static bool loses(const struct impair_config *config)
{
	switch (config->loss.model) {
	case IMPAIR_LOSS_NONE:
		return false;
	case IMPAIR_LOSS_RANDOM:
		return config->loss.probability > 0;
	case IMPAIR_LOSS_GEMODEL:
		return config->loss.p > 0 || config->loss.one_k > 0;
	case IMPAIR_LOSS_STATE:
		return config->loss.p13 > 0 || config->loss.p14 > 0;
	}
	return false;
}

static bool has_delay(const struct impair_config *config)
{
	return config->delay.latency > 0 || config->delay.jitter > 0;
}

bool impair_is_nothing(const struct impair_config *config)
{
	return !loses(config) && !has_delay(config) && config->duplicate == 0 &&
	       config->corrupt == 0 && config->rate.bytes_per_s == 0 && config->mtu == 0;
}

bool impair_needs_wire_packets(const struct impair_config *config)
{
	return loses(config) || config->delay.jitter > 0 || config->duplicate > 0 ||
	       config->corrupt > 0 || config->reorder.probability > 0 || config->mtu > 0 ||
	       (config->rate.bytes_per_s > 0 && config->rate.bytes_per_s < SLOW_RATE);
}

/* ---- one packet ---- */

static nanos time_of(uint64_t bytes, uint64_t bytes_per_s)
{
	uint128 time = (uint128)bytes * NANOS_S / bytes_per_s;

	return time > (uint128)LINE_MAX ? LINE_MAX : (nanos)time;
}

void impair_change(struct impair *impair, const struct impair_config *config)
{
	struct error error = {0};

	assert(impair_check(config, &error) == 0);
	if (config->loss.model != impair->config.loss.model)
		impair->loss_state = 0;
	impair->config = *config;
	impair->line_part = 0;
	if (config->rate.bytes_per_s == 0)
		return;
	impair->buffer_time = time_of(config->rate.buffer, config->rate.bytes_per_s);
	impair->limit_time =
		time_of(config->rate.limit ? config->rate.limit : config->rate.bytes_per_s,
			config->rate.bytes_per_s);
}

void impair_open(struct impair *impair, const struct impair_config *config, uint64_t seed,
		 uint64_t stream)
{
	*impair = (struct impair){
		.seed = seed,
		.stream = stream,
		.loss_draw = NAN,
		.reorder_draw = NAN,
		.delay_draw = NAN,
		.line = INT64_MIN,
	};
	impair_change(impair, config);
}

/* The last draw again with the given chance: each draw stays uniform, and the correlation of one
 * with the next is that chance. */
static double correlated(double draw, double again, double correlation, double *last)
{
	if (isnan(*last) || again >= correlation)
		*last = draw;
	return *last;
}

static bool lost_gemodel(struct impair *impair, const double *draws)
{
	const struct impair_config *config = &impair->config;
	bool bad = impair->loss_state != 0;

	if (draws[DRAW_LOSS_AGAIN] < (bad ? config->loss.r : config->loss.p))
		impair->loss_state = !bad;
	return draws[DRAW_LOSS] < (bad ? config->loss.one_h : config->loss.one_k);
}

/* The state that is gone to decides, as in netem. */
static bool lost_state(struct impair *impair, const double *draws)
{
	enum {
		RECEIVED,
		BURST_RECEIVED,
		BURST_LOST,
		LOST_ALONE,
	};
	const struct impair_config *config = &impair->config;
	double draw = draws[DRAW_LOSS];
	uint32_t next = RECEIVED;

	switch (impair->loss_state) {
	case RECEIVED:
		if (draw < config->loss.p14)
			next = LOST_ALONE;
		else if (draw < config->loss.p14 + config->loss.p13)
			next = BURST_LOST;
		break;
	case BURST_RECEIVED:
		next = draw < config->loss.p23 ? BURST_LOST : BURST_RECEIVED;
		break;
	case BURST_LOST:
		next = BURST_LOST;
		if (draw < config->loss.p32)
			next = BURST_RECEIVED;
		else if (draw < config->loss.p32 + config->loss.p31)
			next = RECEIVED;
		break;
	case LOST_ALONE:
		break;
	}
	impair->loss_state = next;
	return next == BURST_LOST || next == LOST_ALONE;
}

static bool lost(struct impair *impair, const double *draws)
{
	const struct impair_config *config = &impair->config;

	switch (config->loss.model) {
	case IMPAIR_LOSS_NONE:
		return false;
	case IMPAIR_LOSS_RANDOM:
		return correlated(draws[DRAW_LOSS], draws[DRAW_LOSS_AGAIN],
				  config->loss.correlation,
				  &impair->loss_draw) < config->loss.probability;
	case IMPAIR_LOSS_GEMODEL:
		return lost_gemodel(impair, draws);
	case IMPAIR_LOSS_STATE:
		return lost_state(impair, draws);
	}
	return false;
}

double impair_quantile(enum impair_distribution distribution, double u)
{
	double pareto;

	assert(u > 0 && u < 1);
	switch (distribution) {
	case IMPAIR_UNIFORM:
		return 2 * u - 1;
	case IMPAIR_NORMAL:
		return stats_normal_quantile(u);
	case IMPAIR_PARETO:
	case IMPAIR_PARETONORMAL:
		pareto = (pow(1 - u, -1 / PARETO_SHAPE) - PARETO_MEAN) / PARETO_DEVIATION;
		if (distribution == IMPAIR_PARETO)
			return pareto;
		return (0.25 * stats_normal_quantile(u) + 0.75 * pareto) / PARETONORMAL_DEVIATION;
	}
	return 0;
}

/* Correlated delays are a Gaussian copula of an AR(1) series: each has the whole distribution. */
static nanos delay_of(struct impair *impair, double draw)
{
	const struct impair_config *config = &impair->config;
	double rho = config->delay.correlation, value;

	if (config->delay.jitter == 0)
		return config->delay.latency;
	if (rho > 0) {
		value = stats_normal_quantile(draw);
		if (!isnan(impair->delay_draw))
			value = rho * impair->delay_draw + sqrt(1 - rho * rho) * value;
		impair->delay_draw = value;
		draw = fmin(fmax(stats_normal_cdf(value), 0x1p-53), 1 - 0x1p-53);
	}
	value = (double)config->delay.latency +
		(double)config->delay.jitter * impair_quantile(config->delay.distribution, draw);
	if (value <= 0)
		return 0;
	return value < (double)IMPAIR_DELAY_MAX ? (nanos)value : IMPAIR_DELAY_MAX;
}

/* When the line has sent it. false: too much waits already. Generic cell rate algorithm (ITU-T
 * I.371), with the rest of each division kept, so that no rate is rounded. */
static bool line_takes(struct impair *impair, nanos now, uint32_t size, nanos *ret_at)
{
	uint64_t rate = impair->config.rate.bytes_per_s, sum;
	nanos line = impair->line, at;

	if (line <= now) {
		line = now;
		impair->line_part = 0;
	} else if (line - now - impair->buffer_time > impair->limit_time) {
		return false;
	}
	sum = (uint64_t)size * NANOS_S + impair->line_part;
	impair->line = line + (nanos)(sum / rate);
	impair->line_part = sum % rate;
	at = impair->line - impair->buffer_time;
	*ret_at = at > now ? at : now;
	return true;
}

static bool overtakes(struct impair *impair, const double *draws)
{
	const struct impair_config *config = &impair->config;
	double draw;

	if (config->reorder.probability == 0)
		return false;
	draw = correlated(draws[DRAW_REORDER], draws[DRAW_REORDER_AGAIN],
			  config->reorder.correlation, &impair->reorder_draw);
	if (++impair->gap < config->reorder.gap || draw >= config->reorder.probability)
		return false;
	impair->gap = 0;
	return true;
}

/* All random numbers of this packet that its config can need. */
static void draw_all(const struct impair *impair, double *draws)
{
	const struct impair_config *config = &impair->config;
	struct prng prng;
	size_t count = 0;

	if (config->loss.model != IMPAIR_LOSS_NONE)
		count = DRAW_LOSS_AGAIN + 1;
	if (config->duplicate > 0)
		count = DRAW_DUPLICATE + 1;
	if (config->delay.jitter > 0 || config->corrupt > 0 || config->reorder.probability > 0)
		count = config->duplicate > 0 ? DRAWS : DRAW_COPY + DRAWS_OF_COPY;
	if (count == 0)
		return;
	prng_open(&prng, impair->seed, impair->stream, impair->number, PRNG_PACKET);
	for (size_t i = 0; i < count; i++)
		draws[i] = prng_uniform(&prng);
}

static void add_copy(struct impair *impair, nanos now, nanos line, bool overtaking, uint32_t size,
		     const double *draws, struct impair_verdict *verdict)
{
	const struct impair_config *config = &impair->config;
	const double *own = draws + DRAW_COPY + DRAWS_OF_COPY * verdict->copies;
	uint32_t i = verdict->copies++;

	verdict->at[i] = line;
	if (overtaking)
		impair->counters.reordered++;
	else if (has_delay(config))
		verdict->at[i] += delay_of(impair, own[DRAW_DELAY]);
	impair->counters.delayed += verdict->at[i] > now;
	verdict->flip[i] = IMPAIR_NO_FLIP;
	if (config->corrupt > 0 && own[DRAW_CORRUPT] < config->corrupt &&
	    size > IMPAIR_FRAME_HEADER) {
		verdict->flip[i] =
			8 * IMPAIR_FRAME_HEADER +
			(uint32_t)(own[DRAW_BIT] * 8 * (double)(size - IMPAIR_FRAME_HEADER));
		impair->counters.corrupted++;
	}
}

/* It stands first in line before the rate, then it travels. */
static enum impair_drop judge(struct impair *impair, nanos now, uint32_t size, const double *draws,
			      struct impair_verdict *verdict)
{
	const struct impair_config *config = &impair->config;
	bool twice = config->duplicate > 0 && draws[DRAW_DUPLICATE] < config->duplicate;
	bool overtaking;
	nanos line = now;

	if (config->mtu && size > config->mtu + IMPAIR_FRAME_HEADER)
		return IMPAIR_DROP_MTU;
	if (lost(impair, draws))
		return IMPAIR_DROP_LOSS;
	if (config->rate.bytes_per_s && !line_takes(impair, now, size, &line))
		return IMPAIR_DROP_LIMIT;
	overtaking = overtakes(impair, draws);
	add_copy(impair, now, line, overtaking, size, draws, verdict);
	if (twice && (!config->rate.bytes_per_s || line_takes(impair, now, size, &line))) {
		add_copy(impair, now, line, overtaking, size, draws, verdict);
		impair->counters.duplicated++;
	}
	return IMPAIR_PASS;
}

void impair_packet(struct impair *impair, nanos now, uint32_t size,
		   struct impair_verdict *ret_verdict)
{
	double draws[DRAWS] = {0};

	draw_all(impair, draws);
	ret_verdict->copies = 0;
	ret_verdict->drop = judge(impair, now, size, draws, ret_verdict);
	if (ret_verdict->drop != IMPAIR_PASS)
		impair->counters.dropped[ret_verdict->drop]++;
	impair->counters.seen++;
	impair->number++;
}

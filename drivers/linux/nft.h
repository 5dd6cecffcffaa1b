/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that vanish, or are answered with a reset, by nftables: partitions, black holes, a share
 * of packets, and policed rates. The rules stand where packets come into the bridges of a namespace
 * that is not the sender's (the router's), or into and out of links of it, so that the sender meets
 * silence, as with a broken network, and never EPERM. Packets are told by address, so that it does
 * not matter what stands in a machine's way to its bridge.
 *
 * Each fault is one table "drsim_NAME" of family bridge or netdev and nothing else. Its rules ask
 * first whether its lease is alive: elements of a set with a time-out that the kernel itself takes
 * out. So the fault ends when nobody calls nft_renew(), even if every process of ours is stopped;
 * and it vanishes with its namespace.
 *
 * A packet is what the kernel hands over: a burst of TCP segments that a link cuts only later
 * (TSO, up to 64 KiB) is one. Which packets a share hits is the kernel's own chance: not
 * repeatable. ARP always passes: what is cut one way stays whole the other way, and in one site too
 * a sender meets silence and not EHOSTUNREACH.
 *
 * One thread at a time in the whole process: libnftables promises no more. What nft_begin() returns
 * lives in the arena; nothing of it must be freed.
 */
#ifndef DRIVERS_LINUX_NFT_H
#define DRIVERS_LINUX_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/linux/impair.h"

#define NFT_LINKS_MAX 256 /* the kernel's, for one chain */
#define NFT_PAIRS_MAX 62500
#define NFT_PORTS_MAX 64
#define NFT_NAME_MAX 63
#define NFT_ALL_PPM 1000000
#define NFT_LEASE_MIN (100 * NANOS_MS)
#define NFT_LEASE_MAX NANOS_DAY

enum nft_verdict {
	NFT_DROP,
	NFT_RESET, /* answers TCP with a reset, on connections that stand too; drops nothing else */
};

/* What a part of the network sends to another: two IPv4 prefixes in host order. No bits: all. */
struct nft_pair {
	uint32_t from, to;
	uint8_t from_bits, to_bits; /* 0 … 32 */
};

struct nft_config {
	const char *name; /* [a-z0-9_]+, of this fault alone */
	/* Links in the namespace where its rules stand; none: where packets come into a bridge of
	 * it first, which is from a machine and not from another site's. For NFT_RESET a kernel
	 * often has only one of both (nft_reject_bridge, or nft_reject_netdev): nft_probe() tells.
	 */
	const char *const *links;
	size_t link_count;
	/* Which packets of each link, as the machine behind it sees it: FROM those that it sends,
	 * TO those that it gets. FROM without links, with pairs and with NFT_RESET. */
	enum impair_direction direction;
	const struct nft_pair *pairs; /* none: all packets */
	size_t pair_count;
	uint8_t protocol;      /* IPPROTO_TCP …; 0: all, with ports TCP and UDP */
	const uint16_t *ports; /* one of them is the packet's source or destination; none: any */
	size_t port_count;
	enum nft_verdict verdict;
	uint32_t share_ppm; /* of these packets; NFT_ALL_PPM: all */
	uint64_t rate;      /* bytes/s that may pass nevertheless; 0: none */
	uint64_t burst;     /* bytes that may at once, beside those of one second; 0: 64 KiB */
	nanos lease;        /* NFT_LEASE_MIN … NFT_LEASE_MAX; the kernel counts milliseconds */
};

struct nft;

struct nft_counts {
	uint64_t seen;           /* packets that matched while the lease was alive */
	uint64_t hit, hit_bytes; /* of them dropped or reset: how often the fault acted */
	bool alive;              /* its lease is */
};

/* Can this host do it, at links or where packets come into a bridge? Tried in a namespace of its
 * own; ERROR_UNAVAILABLE says why not. */
int nft_probe(enum nft_verdict verdict, bool at_links, struct error *e);

/* Is the config within bounds? ERROR_LIMIT or ERROR_SCENARIO names what is wrong. */
int nft_check(const struct nft_config *config, struct error *e);
/* The fault is in force when it returns. The config is copied. `netns` is that of the links and
 * must stay open. */
int nft_begin(int netns, const struct nft_config *config, struct arena *arena, struct nft **ret_nft,
	      struct error *e);
/* Other pairs, ports, share or rate, in one step that no packet slips through; the name, links and
 * direction stay. Counters go on, the lease starts again. */
int nft_change(struct nft *nft, const struct nft_config *config, struct error *e);
/* The whole lease from now on; also one that is over begins again. */
int nft_renew(struct nft *nft, struct error *e);
int nft_counts(struct nft *nft, struct nft_counts *ret_counts, struct error *e);
/* Takes the table away. Nothing when it is gone. */
int nft_end(struct nft *nft, struct error *e);

#endif

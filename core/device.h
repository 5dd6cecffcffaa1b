/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in of a GPU: what is in its device file. Whoever makes a machine writes it, what runs
 * there computes with it and learns from it which GPU it is.
 *
 * The file has DEVICE_BYTES bytes: a text of lines `NAME: VALUE` (pci, uuid, serial) that begins
 * with DEVICE_MAGIC, zeros, from DEVICE_STATE_AT on its state, and from DEVICE_WORK_AT on
 * DEVICE_WORK_BYTES bytes that stand for the GPU's memory. But for the state all of it follows from
 * the run, the machine's number and the GPU's index.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#define DEVICE_BYTES 4096
#define DEVICE_MAGIC "drsim stand-in GPU\n"
#define DEVICE_STATE_AT 496
#define DEVICE_STATE_BYTES 8
#define DEVICE_WORK_AT 512
#define DEVICE_WORK_BYTES 256
#define DEVICE_PCI_SIZE 24
#define DEVICE_UUID_SIZE 48
#define DEVICE_SERIAL_SIZE 24

struct device_identity {
	/* Domain, bus and device as an Xid line has them: "ffff3c01:02:05". No GPU of this world
	 * has such a domain; it tells runs apart, the bus machines, the device GPUs. */
	char pci[DEVICE_PCI_SIZE];
	char uuid[DEVICE_UUID_SIZE];     /* "GPU-…" as nvidia-smi prints it */
	char serial[DEVICE_SERIAL_SIZE]; /* 13 digits */
};

/* Who a GPU is: of the run of this id, of its machine of this number, with this index. */
void device_identify(const char *run, uint32_t machine, uint32_t index,
		     struct device_identity *ret);
/* What its file holds. Needs no memory: also for a child before its exec. */
void device_print(const char *run, uint32_t machine, uint32_t index,
		  unsigned char ret[DEVICE_BYTES]);
/* How well it computes, in parts per million. */
struct device_state {
	uint32_t pace;  /* of its speed; DEVICE_PACE_FULL: all of it */
	uint32_t wrong; /* share of its results that are wrong */
};
#define DEVICE_PACE_FULL 1000000u

/* The bytes at DEVICE_STATE_AT. One that cannot be is read as a GPU in order. */
void device_print_state(const struct device_state *state, unsigned char ret[DEVICE_STATE_BYTES]);
void device_parse_state(const unsigned char bytes[DEVICE_STATE_BYTES], struct device_state *ret);

/* Who a file's first bytes say that it is; -1: it does not say so. */
int device_parse(const unsigned char *bytes, size_t size, struct device_identity *ret);

#endif

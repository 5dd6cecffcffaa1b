/* SPDX-License-Identifier: Apache-2.0 */
/* Files that look like a model's weights to a backup: noise as of bf16 numbers, parts that come
 * again, and zeros. The same seed gives the same bytes. */
#ifndef TESTS_MODEL_DATA_H
#define TESTS_MODEL_DATA_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_DATA_RUN ((size_t)256 << 10) /* bytes that change together */

/* Writes the file `path` of `bytes`: of each 128 MiB half noise, a quarter what came before, a
 * quarter zeros. 0, or -1 with errno. */
int model_data_write(const char *path, uint64_t bytes, uint64_t seed);
/* Overwrites so many millionths of it, in runs of MODEL_DATA_RUN at places that `seed` gives, none
 * twice. Gives the bytes that changed. */
int model_data_change(const char *path, uint32_t ppm, uint64_t seed, uint64_t *ret_bytes);
/* Noise alone, `bytes` of it. */
void model_data_noise(uint8_t *data, size_t bytes, uint64_t seed);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* placeholder */
#include "drivers/store/backend.h"
const struct store_backend_ops store_http_backend = {.name = "http"};

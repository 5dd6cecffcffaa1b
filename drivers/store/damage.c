/* SPDX-License-Identifier: Apache-2.0 */
/* Damage, told one at a time by whichever thread found it. */
#include <inttypes.h>

#include "drivers/store/store_private.h"

void damage_open(struct damage_teller *teller, store_damage_fn *tell, void *self)
{
	*teller = (struct damage_teller){.tell = tell, .self = self};
	pthread_mutex_init(&teller->mutex, NULL);
}

void damage_close(struct damage_teller *teller)
{
	pthread_mutex_destroy(&teller->mutex);
}

static void remember(struct damage_teller *teller, const struct store_damage *damage)
{
	const char *object = damage->object ? damage->object : "no object";

	if (damage->path)
		error_set(&teller->first, ERROR_IO, NO_PLACE,
			  "backup %s is damaged: %s, bytes %" PRIu64 " to %" PRIu64 ": %s (%s)",
			  damage->backup, damage->path, damage->offset,
			  damage->offset + damage->bytes, damage->what, object);
	else
		error_set(&teller->first, ERROR_IO, NO_PLACE, "%s%s%s: %s",
			  damage->backup ? damage->backup : "", damage->backup ? ": " : "", object,
			  damage->what);
}

void damage_tell(struct damage_teller *teller, const struct store_damage *damage)
{
	pthread_mutex_lock(&teller->mutex);
	teller->count++;
	remember(teller, damage);
	if (teller->tell)
		teller->tell(teller->self, damage);
	pthread_mutex_unlock(&teller->mutex);
}

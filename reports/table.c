/* SPDX-License-Identifier: Apache-2.0 */
/* The reports of a run folder, in the order they are written: the page comes after the plots, which
 * it shows. */
#include "reports/table.h"

#include <stddef.h>

const struct report_ops *const report_table[] = {
	&report_junit, &report_openmetrics, &report_plots, &report_html, &report_markdown, NULL,
};

/* A missing or failing gnuplot is no failure: the page says so. */
int report_write_all(const struct report_input *input, struct error *e)
{
	for (size_t i = 0; report_table[i]; i++)
		if (report_table[i]->write(input, e))
			return -1;
	return 0;
}

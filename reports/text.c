/* SPDX-License-Identifier: Apache-2.0 */
/* Values with their units, and texts escaped for XML and HTML. */
#include "reports/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/timeline.h"

const char *text_value(char out[WORDS_MAX], double value, const char *unit)
{
	char number[WORDS_MAX];

	if (isnan(value))
		snprintf(out, WORDS_MAX, WORDS_NONE);
	else if (isinf(value)) /* of what was not recovered nothing can be said */
		snprintf(out, WORDS_MAX, "not recovered");
	else if (strcmp(unit, "s") == 0)
		words_duration_exact(out, value);
	else if (strcmp(unit, "bytes") == 0 || strcmp(unit, "B") == 0)
		words_bytes(out, value);
	else if (strcmp(unit, "count") == 0)
		words_number(out, value);
	else if (strcmp(unit, "fraction") == 0 || strcmp(unit, "ratio") == 0)
		words_percent(out, value);
	else
		snprintf(out, WORDS_MAX, "%.40s %.20s", words_number(number, value), unit);
	return out;
}

void text_escape(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : WORDS_NONE);

	while (*s) {
		size_t length = utf8_length(s);
		/* U+FFFE and U+FFFF are the two of plane 0 that XML forbids besides the controls.
		 */
		bool forbidden = length == 0 ||
				 (*s < 0x20 && *s != '\t' && *s != '\n' && *s != '\r') ||
				 (length == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe);

		if (forbidden)
			fputs("\xef\xbf\xbd", file);
		else if (*s == '<')
			fputs("&lt;", file);
		else if (*s == '>')
			fputs("&gt;", file);
		else if (*s == '&')
			fputs("&amp;", file);
		else if (*s == '"')
			fputs("&quot;", file);
		else if (*s == '\'')
			fputs("&#39;", file);
		else
			fwrite(s, 1, length, file);
		s += length > 0 ? length : 1;
	}
}

bool text_is_floor(const char *objective)
{
	return strcmp(objective, "availability") == 0 || strcmp(objective, "ettr") == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Days of the calendar. */
#include "reports/day.h"

#include <stdio.h>
#include <string.h>

struct date {
	int32_t year, month, day; /* month and day from 1 */
};

static int32_t days_of_month(int32_t year, int32_t month)
{
	static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Years that begin in March have the leap day at their end, and their months a regular length. */
static int32_t number_of(struct date date)
{
	int32_t year = date.year - (date.month <= 2), month = (date.month + 9) % 12;

	return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + date.day -
	       1 - 719468;
}

static struct date date_of(int32_t number)
{
	struct date date = {.year = 1970 + number / 366, .month = 1, .day = 1};

	/* The guess is never late, and early by a year for each 366 that have passed. */
	while (number_of((struct date){date.year + 1, 1, 1}) <= number)
		date.year++;
	while (date.month < 12 && number_of((struct date){date.year, date.month + 1, 1}) <= number)
		date.month++;
	date.day = number - number_of(date) + 1;
	return date;
}

static bool digits(const char *text, size_t count, int32_t *ret)
{
	int32_t value = 0;

	for (size_t i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + text[i] - '0';
	}
	*ret = value;
	return true;
}

bool day_parse(const char *text, int32_t *ret_day)
{
	struct date date;

	if (!text || strnlen(text, 10) < 10 || text[4] != '-' || text[7] != '-' ||
	    (text[10] != '\0' && text[10] != 'T'))
		return false;
	if (!digits(text, 4, &date.year) || !digits(text + 5, 2, &date.month) ||
	    !digits(text + 8, 2, &date.day) || date.year < 1970 || date.month < 1 ||
	    date.month > 12 || date.day < 1 || date.day > days_of_month(date.year, date.month))
		return false;
	*ret_day = number_of(date);
	return true;
}

const char *day_text(char out[DAY_TEXT_MAX], int32_t day)
{
	struct date date = date_of(day);

	snprintf(out, DAY_TEXT_MAX, "%04d-%02d-%02d", date.year % 10000, date.month % 100,
		 date.day % 100);
	return out;
}

int32_t day_add_months(int32_t day, uint32_t months)
{
	struct date date = date_of(day);
	int32_t month = date.month - 1 + (int32_t)months, last;

	date.year += month / 12;
	date.month = month % 12 + 1;
	last = days_of_month(date.year, date.month);
	date.day = date.day < last ? date.day : last;
	return number_of(date);
}

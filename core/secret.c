/* SPDX-License-Identifier: Apache-2.0 */
/* What a credential looks like. */
#include "core/secret.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HIDDEN_MIN 4 /* bytes of a value that is hidden */
#define NAME_MAX_BYTES 64

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

bool secret_is_literal(const char *text)
{
	return *text && !strstr(text, "${env:");
}

/* What is covered with '*' already is no credential any more. */
static bool literal_part(const char *text, size_t length)
{
	return length > 0 && *text != '*' && !memmem(text, length, "${env:", 6);
}

static bool found(struct secret *ret, const char *text, const char *at, size_t length,
		  const char *what)
{
	*ret = (struct secret){.at = (size_t)(at - text), .length = length, .what = what};
	return true;
}

/* ---- names ---- */

/* Small letters, with '_' for what parts the words of a name: X-Api-Key is x_api_key. */
static size_t plain_name(const char *name, size_t length, char out[NAME_MAX_BYTES + 1])
{
	size_t used = 0;

	while (length > 0 && *name == '-') {
		name++;
		length--;
	}
	if (length > NAME_MAX_BYTES)
		return 0;
	for (; used < length; used++)
		out[used] = is_one_of(name[used], "-. ") ? '_'
							 : (char)tolower((unsigned char)name[used]);
	out[used] = '\0';
	return used;
}

bool secret_is_name(const char *name, size_t length)
{
	static const char *const ends[] = {
		"password",    "passwd",      "passphrase",  "secret",      "token",
		"apikey",      "api_key",     "access_key",  "secret_key",  "accesskey",
		"secretkey",   "privatekey",  "private_key", "signing_key", "credential",
		"credentials", "requirepass", "masterauth"};
	static const char *const wholes[] = {"auth", "authorization", "cookie", "pass", "pwd"};
	char plain[NAME_MAX_BYTES + 1];
	size_t used = plain_name(name, length, plain);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t end = strlen(ends[i]);

		if (used >= end && strcmp(plain + used - end, ends[i]) == 0)
			return true;
	}
	if (length == 3 && strncmp(name, "PWD", 3) == 0)
		return false; /* a shell's working folder */
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
		size_t whole = strlen(wholes[i]);

		if (used >= whole && strcmp(plain + used - whole, wholes[i]) == 0 &&
		    (used == whole || plain[used - whole - 1] == '_'))
			return true;
	}
	return false;
}

/* ---- forms ---- */

/* scheme://user:PASSWORD@host */
static bool find_url_password(const char *text, struct secret *ret)
{
	for (const char *at = strstr(text, "://"); at; at = strstr(at + 3, "://")) {
		const char *begin = at + 3;
		size_t length = strcspn(begin, "/?# \t\"'<>,");
		const char *end = memrchr(begin, '@', length);
		const char *colon = end ? memchr(begin, ':', (size_t)(end - begin)) : NULL;

		if (colon && literal_part(colon + 1, (size_t)(end - colon - 1)))
			return found(ret, text, colon + 1, (size_t)(end - colon - 1),
				     "a URL with a password");
	}
	return false;
}

/* ?token=VALUE and &sig=VALUE, of a URL or a path. */
static bool find_url_parameter(const char *text, struct secret *ret)
{
	for (const char *at = strpbrk(text, "?&"); at; at = strpbrk(at + 1, "?&")) {
		const char *name = at + 1, *value;
		size_t length = strcspn(name, "=?& \t\"'");

		if (name[length] != '=')
			continue;
		value = name + length + 1;
		if (!secret_is_name(name, length) &&
		    !(length >= 3 && strncasecmp(name + length - 3, "sig", 3) == 0) &&
		    !(length >= 9 && strncasecmp(name + length - 9, "signature", 9) == 0))
			continue;
		length = strcspn(value, "& \t\"'#");
		if (literal_part(value, length))
			return found(ret, text, value, length, "a URL with a credential");
	}
	return false;
}

/* Authorization: SCHEME VALUE, in whatever case. */
static bool find_authorization(const char *text, struct secret *ret)
{
	static const char *const schemes[] = {"bearer ", "basic ", "token ", "apikey ", "digest "};
	static const char name[] = "authorization:";

	for (const char *at = strcasestr(text, name); at; at = strcasestr(at + 1, name)) {
		const char *value = at + strlen(name);

		value += strspn(value, " \t");
		for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
			size_t scheme = strlen(schemes[i]), length;

			if (strncasecmp(value, schemes[i], scheme) != 0)
				continue;
			length = strcspn(value + scheme, "\"'\r\n,");
			if (literal_part(value + scheme, length))
				return found(ret, text, value + scheme, length,
					     "a header with a credential");
		}
	}
	return false;
}

static bool find_private_key(const char *text, struct secret *ret)
{
	const char *begin = strstr(text, "-----BEGIN ");
	const char *kind = begin ? strstr(begin, "PRIVATE KEY-----") : NULL;

	if (!kind || memchr(begin, '\n', (size_t)(kind - begin)))
		return false;
	return found(ret, text, begin, strlen(begin), "a private key");
}

/* Tokens that begin with the name of who gave them. */
static bool find_known_token(const char *text, struct secret *ret)
{
	static const struct {
		const char *begin;
		size_t rest; /* characters that follow at least */
	} known[] = {
		{"ghp_", 30},  {"gho_", 30},  {"ghs_", 30},     {"github_pat_", 22}, {"glpat-", 20},
		{"xoxb-", 20}, {"xoxp-", 20}, {"hf_", 30},      {"nvapi-", 30},      {"sk-", 32},
		{"AKIA", 16},  {"AIza", 30},  {"eyJhbGci", 30},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		for (const char *at = strstr(text, known[i].begin); at;
		     at = strstr(at + 1, known[i].begin)) {
			size_t begin = strlen(known[i].begin), length = begin;

			while (is_word(at[length]) || at[length] == '.')
				length++;
			if ((at == text || !is_word(at[-1])) && length >= begin + known[i].rest)
				return found(ret, text, at, length, "a token");
		}
	return false;
}

bool secret_find(const char *text, struct secret *ret)
{
	return find_url_password(text, ret) || find_url_parameter(text, ret) ||
	       find_authorization(text, ret) || find_private_key(text, ret) ||
	       find_known_token(text, ret);
}

bool secret_find_word(const char *word, struct secret *ret)
{
	size_t length = strspn(word, "-");
	const char *value;

	if (secret_find(word, ret))
		return true;
	while (is_word(word[length]) || word[length] == '.')
		length++;
	if (!is_one_of(word[length], ":=") || !secret_is_name(word, length))
		return false;
	value = word + length + 1;
	value += strspn(value, " \t");
	if (!secret_is_literal(value))
		return false;
	return found(ret, word, value, strlen(value), "a credential");
}

/* ---- hiding ---- */

static void cover(char *text, size_t length)
{
	for (size_t i = 0; i < length && text[i]; i++)
		/* Of the same length, so that columns stay where they are. */
		if (!is_one_of(text[i], "\r\n\t"))
			text[i] = '*';
}

/* NAME: VALUE and NAME=VALUE, as YAML, shells and headers write them; --NAME VALUE, as a line or as
 * words of a list. */
static void mask_named(char *text)
{
	for (char *at = text; *at;) {
		size_t name = 0, value;
		char *begin, sign;

		while (is_word(at[name]) || at[name] == '.')
			name++;
		begin = at + name;
		begin += *begin && is_one_of(*begin, "\"'");
		if (name == 0 || !is_one_of(*begin, *at == '-' ? ":=, " : ":=") ||
		    !secret_is_name(at, name)) {
			at += name > 0 ? name : 1;
			continue;
		}
		sign = *begin++;
		begin += strspn(begin, " \t");
		if (*begin == '-') { /* another option: this one has no value */
			at = begin;
			continue;
		}
		if (is_one_of(*begin, "\"'"))
			value = 1 + strcspn(begin + 1, (char[]){*begin, 0});
		else
			value = strcspn(begin, sign == ':' ? ",}]\"'\r\n" : ",}] \t\r\n");
		if (literal_part(begin, value))
			cover(begin, value);
		at = begin + value;
	}
}

void secret_mask(char *text)
{
	struct secret secret;

	while (secret_find(text, &secret))
		cover(text + secret.at, secret.length);
	mask_named(text);
}

void secret_hide(char *text, const char *value)
{
	size_t length = strlen(value);

	if (length < HIDDEN_MIN)
		return;
	for (char *at = strstr(text, value); at; at = strstr(at + length, value))
		cover(at, length);
}

void secret_hide_environment(char *text)
{
	for (char **at = environ; at && *at; at++) {
		size_t name = strcspn(*at, "=");

		if ((*at)[name] == '=' && secret_is_name(*at, name))
			secret_hide(text, *at + name + 1);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The errors of Linux by name: of asm-generic, which x86-64 and arm64 have. */
#include "core/errno_names.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/param.h"
#include "core/yaml.h"

#define ERRNO(name)                                                                                \
	{                                                                                          \
		name, #name                                                                        \
	}
static const struct {
	int number;
	const char *name;
} errnos[] = {
	ERRNO(EPERM),
	ERRNO(ENOENT),
	ERRNO(ESRCH),
	ERRNO(EINTR),
	ERRNO(EIO),
	ERRNO(ENXIO),
	ERRNO(E2BIG),
	ERRNO(ENOEXEC),
	ERRNO(EBADF),
	ERRNO(ECHILD),
	ERRNO(EAGAIN),
	ERRNO(ENOMEM),
	ERRNO(EACCES),
	ERRNO(EFAULT),
	ERRNO(ENOTBLK),
	ERRNO(EBUSY),
	ERRNO(EEXIST),
	ERRNO(EXDEV),
	ERRNO(ENODEV),
	ERRNO(ENOTDIR),
	ERRNO(EISDIR),
	ERRNO(EINVAL),
	ERRNO(ENFILE),
	ERRNO(EMFILE),
	ERRNO(ENOTTY),
	ERRNO(ETXTBSY),
	ERRNO(EFBIG),
	ERRNO(ENOSPC),
	ERRNO(ESPIPE),
	ERRNO(EROFS),
	ERRNO(EMLINK),
	ERRNO(EPIPE),
	ERRNO(EDOM),
	ERRNO(ERANGE),
	ERRNO(EDEADLK),
	ERRNO(ENAMETOOLONG),
	ERRNO(ENOLCK),
	ERRNO(ENOSYS),
	ERRNO(ENOTEMPTY),
	ERRNO(ELOOP),
	ERRNO(ENOMSG),
	ERRNO(EIDRM),
	ERRNO(ECHRNG),
	ERRNO(EL2NSYNC),
	ERRNO(EL3HLT),
	ERRNO(EL3RST),
	ERRNO(ELNRNG),
	ERRNO(EUNATCH),
	ERRNO(ENOCSI),
	ERRNO(EL2HLT),
	ERRNO(EBADE),
	ERRNO(EBADR),
	ERRNO(EXFULL),
	ERRNO(ENOANO),
	ERRNO(EBADRQC),
	ERRNO(EBADSLT),
	ERRNO(EBFONT),
	ERRNO(ENOSTR),
	ERRNO(ENODATA),
	ERRNO(ETIME),
	ERRNO(ENOSR),
	ERRNO(ENONET),
	ERRNO(ENOPKG),
	ERRNO(EREMOTE),
	ERRNO(ENOLINK),
	ERRNO(EADV),
	ERRNO(ESRMNT),
	ERRNO(ECOMM),
	ERRNO(EPROTO),
	ERRNO(EMULTIHOP),
	ERRNO(EDOTDOT),
	ERRNO(EBADMSG),
	ERRNO(EOVERFLOW),
	ERRNO(ENOTUNIQ),
	ERRNO(EBADFD),
	ERRNO(EREMCHG),
	ERRNO(ELIBACC),
	ERRNO(ELIBBAD),
	ERRNO(ELIBSCN),
	ERRNO(ELIBMAX),
	ERRNO(ELIBEXEC),
	ERRNO(EILSEQ),
	ERRNO(ERESTART),
	ERRNO(ESTRPIPE),
	ERRNO(EUSERS),
	ERRNO(ENOTSOCK),
	ERRNO(EDESTADDRREQ),
	ERRNO(EMSGSIZE),
	ERRNO(EPROTOTYPE),
	ERRNO(ENOPROTOOPT),
	ERRNO(EPROTONOSUPPORT),
	ERRNO(ESOCKTNOSUPPORT),
	ERRNO(EOPNOTSUPP),
	ERRNO(EPFNOSUPPORT),
	ERRNO(EAFNOSUPPORT),
	ERRNO(EADDRINUSE),
	ERRNO(EADDRNOTAVAIL),
	ERRNO(ENETDOWN),
	ERRNO(ENETUNREACH),
	ERRNO(ENETRESET),
	ERRNO(ECONNABORTED),
	ERRNO(ECONNRESET),
	ERRNO(ENOBUFS),
	ERRNO(EISCONN),
	ERRNO(ENOTCONN),
	ERRNO(ESHUTDOWN),
	ERRNO(ETOOMANYREFS),
	ERRNO(ETIMEDOUT),
	ERRNO(ECONNREFUSED),
	ERRNO(EHOSTDOWN),
	ERRNO(EHOSTUNREACH),
	ERRNO(EALREADY),
	ERRNO(EINPROGRESS),
	ERRNO(ESTALE),
	ERRNO(EUCLEAN),
	ERRNO(ENOTNAM),
	ERRNO(ENAVAIL),
	ERRNO(EISNAM),
	ERRNO(EREMOTEIO),
	ERRNO(EDQUOT),
	ERRNO(ENOMEDIUM),
	ERRNO(EMEDIUMTYPE),
	ERRNO(ECANCELED),
	ERRNO(ENOKEY),
	ERRNO(EKEYEXPIRED),
	ERRNO(EKEYREVOKED),
	ERRNO(EKEYREJECTED),
	ERRNO(EOWNERDEAD),
	ERRNO(ENOTRECOVERABLE),
	ERRNO(ERFKILL),
	ERRNO(EHWPOISON),
};
#undef ERRNO
#define COUNT (sizeof(errnos) / sizeof(errnos[0]))

/* Other names of the same errors. */
static const struct {
	const char *name;
	int number;
} aliases[] = {
	{"EWOULDBLOCK", EWOULDBLOCK},
	{"EDEADLOCK", EDEADLOCK},
	{"ENOTSUP", ENOTSUP},
};

int errno_by_name(const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(errnos[i].name, name) == 0)
			return errnos[i].number;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].name, name) == 0)
			return aliases[i].number;
	return 0;
}

const char *errno_name(int number)
{
	for (size_t i = 0; i < COUNT; i++)
		if (errnos[i].number == number)
			return errnos[i].name;
	return NULL;
}

int errno_parse(const char *name, struct place place, int *ret_number, struct error *e)
{
	int number = errno_by_name(name);
	const char *words[COUNT + 1] = {NULL}, *suggestion;
	char quoted[YAML_QUOTE_MAX];

	if (number > 0) {
		*ret_number = number;
		return 0;
	}
	for (size_t i = 0; i < COUNT; i++)
		words[i] = errnos[i].name;
	suggestion = param_suggest(name, words);
	return error_set(e, ERROR_SCENARIO, place, "there is no error '%s'%s%s%s",
			 yaml_quote(name, quoted), suggestion ? "; did you mean '" : "",
			 suggestion ? suggestion : ", such as EIO or ENOSPC",
			 suggestion ? "'?" : "");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys: made, read, kept out of everybody's sight, used. */
#include "reports/keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_SIZE 32
#define DER_MAX 128 /* of an Ed25519 SubjectPublicKeyInfo: 44 */

static void must(bool done)
{
	if (done)
		return;
	fputs("drsim: out of memory\n", stderr);
	exit(3);
}

/* ---- reading a file ---- */

/* Errors of files that hold secrets name the file and never what is in it. */
static int refuse(struct error *e, const char *path, const char *why)
{
	return error_set(e, ERROR_USAGE, NO_PLACE, "%s %s", path, why);
}

/* May others read it? A pipe has no readers but this one. What belongs to somebody else, who may
 * have chosen its mode for good reasons, is not this user's to change. */
static bool is_exposed(const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_uid == geteuid() && (status->st_mode & 077);
}

/* At most KEYS_FILE_MAX bytes, 0-terminated. */
static int read_file(const char *path, char text[KEYS_FILE_MAX + 1], size_t *ret_size,
		     struct stat *ret_status, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = -1;
	size_t size = 0;
	ssize_t got = 1;

	if (fd < 0)
		return error_set(e, ERROR_USAGE, NO_PLACE, "cannot read the key %s: %s", path,
				 strerror(errno));
	if (fstat(fd, ret_status)) {
		refuse(e, path, strerror(errno));
		goto out;
	}
	if (S_ISDIR(ret_status->st_mode)) {
		refuse(e, path, "is a folder, not a key");
		goto out;
	}
	while (size <= KEYS_FILE_MAX && got > 0) {
		got = read(fd, text + size, KEYS_FILE_MAX + 1 - size);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			size += (size_t)got;
	}
	if (got < 0)
		error_set(e, ERROR_USAGE, NO_PLACE, "cannot read the key %s: %s", path,
			  strerror(errno));
	else if (size > KEYS_FILE_MAX)
		refuse(e, path, "is too large for a key");
	else
		rc = 0;
	text[rc == 0 ? size : 0] = '\0';
	*ret_size = size;
out:
	close(fd);
	return rc;
}

/* ---- public keys ---- */

static void key_id(EVP_PKEY *key, char ret_id[SHA_HEX])
{
	uint8_t der[DER_MAX], *at = der, digest[SHA_SIZE];
	int size = i2d_PUBKEY(key, NULL);

	must(size > 0 && size <= DER_MAX && i2d_PUBKEY(key, &at) == size);
	sha_of(der, (size_t)size, digest);
	sha_hex(digest, ret_id);
}

int public_key_load(const char *path, struct public_key *ret_key, struct error *e)
{
	char text[KEYS_FILE_MAX + 1] = "";
	struct stat status;
	EVP_PKEY *key;
	size_t size = 0;
	bool private;
	BIO *bio;

	if (read_file(path, text, &size, &status, e))
		return -1;
	private = strstr(text, "PRIVATE KEY-----") != NULL;
	bio = BIO_new_mem_buf(text, (int)size);
	must(bio != NULL);
	key = private ? NULL : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	/* Somebody gave the wrong one of the two: it leaves no trace here. */
	OPENSSL_cleanse(text, sizeof(text));
	if (!key)
		return refuse(e, path,
			      private ? "is a private key: a run is verified with the public one"
				      : "is no public key in PEM (-----BEGIN PUBLIC KEY-----)");
	if (EVP_PKEY_id(key) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(key);
		return refuse(e, path, "is no Ed25519 key");
	}
	ret_key->key = key;
	key_id(key, ret_key->id);
	return 0;
}

void public_key_close(struct public_key *key)
{
	EVP_PKEY_free(key->key);
	key->key = NULL;
}

bool public_key_verify(const struct public_key *key, const uint8_t signature[KEYS_SIGNATURE],
		       const void *bytes, size_t size)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good;

	must(context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->key) == 1);
	good = EVP_DigestVerify(context, signature, KEYS_SIGNATURE, bytes, size) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return good;
}

/* ---- private keys ---- */

/* Nobody is asked: a drill runs at night. */
static int no_passphrase(char *buffer, int size, int writing, void *self)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)self = true;
	return -1;
}

static uint8_t *secret_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *page =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(page != MAP_FAILED);
	/* What is not allowed here (a limit on locked memory) is no reason not to sign. */
	(void)mlock(page, size);
	(void)madvise(page, size, MADV_DONTDUMP);
	(void)madvise(page, size, MADV_DONTFORK);
	return page;
}

static int keep_secret(EVP_PKEY *key, const char *path, struct signing_key *ret_key,
		       struct error *e)
{
	size_t size = SECRET_SIZE;

	if (EVP_PKEY_id(key) != EVP_PKEY_ED25519)
		return refuse(e, path, "is no Ed25519 key");
	ret_key->secret = secret_page();
	must(EVP_PKEY_get_raw_private_key(key, ret_key->secret, &size) == 1 && size == SECRET_SIZE);
	key_id(key, ret_key->id);
	return 0;
}

/* The key in the text of the file, or NULL. */
static EVP_PKEY *parse_private(const char *path, const char *text, size_t size,
			       const struct stat *status, struct error *e)
{
	bool asked = false;
	EVP_PKEY *key;
	BIO *bio;

	if (!strstr(text, "PRIVATE KEY-----")) {
		refuse(e, path,
		       strstr(text, "PUBLIC KEY-----")
			       ? "is a public key: a run is signed with the private one"
			       : "is no private key in PEM (-----BEGIN PRIVATE KEY-----)");
		return NULL;
	}
	if (is_exposed(status)) {
		error_set(e, ERROR_USAGE, NO_PLACE,
			  "%s is a private key that others may read (mode %04o): chmod 600 it, or "
			  "make a new one",
			  path, (unsigned)status->st_mode & 07777);
		return NULL;
	}
	bio = BIO_new_mem_buf(text, (int)size);
	must(bio != NULL);
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (!key)
		refuse(e, path,
		       asked ? "is encrypted: drsim asks for no passphrase"
			     : "is no private key in PEM (-----BEGIN PRIVATE KEY-----)");
	return key;
}

int signing_key_load(const char *path, struct signing_key *ret_key, struct error *e)
{
	char text[KEYS_FILE_MAX + 1] = "";
	struct stat status;
	EVP_PKEY *key = NULL;
	size_t size = 0;
	int rc = -1;

	if (read_file(path, text, &size, &status, e) == 0)
		key = parse_private(path, text, size, &status, e);
	OPENSSL_cleanse(text, sizeof(text));
	if (key)
		rc = keep_secret(key, path, ret_key, e);
	EVP_PKEY_free(key); /* wipes its own copy */
	return rc;
}

void signing_key_close(struct signing_key *key)
{
	if (!key->secret)
		return;
	OPENSSL_cleanse(key->secret, SECRET_SIZE);
	munmap(key->secret, (size_t)sysconf(_SC_PAGESIZE));
	key->secret = NULL;
}

void signing_key_sign(const struct signing_key *key, const void *bytes, size_t size,
		      uint8_t ret_signature[KEYS_SIGNATURE])
{
	EVP_PKEY *pair =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->secret, SECRET_SIZE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t length = KEYS_SIGNATURE;

	must(pair && context && EVP_DigestSignInit(context, NULL, NULL, NULL, pair) == 1 &&
	     EVP_DigestSign(context, ret_signature, &length, bytes, size) == 1);
	assert(length == KEYS_SIGNATURE);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pair);
}

/* ---- a new pair ---- */

static int cannot(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* A new file with all of the memory BIO in it, on the disk. */
static int write_file(const char *path, mode_t mode, BIO *bio, struct error *e)
{
	char *text = NULL;
	long left = BIO_get_mem_data(bio, &text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return errno == EEXIST ? refuse(e, path, "exists already: a key is never replaced")
				       : cannot(e, "create", path);
	while (left > 0) {
		ssize_t wrote = write(fd, text, (size_t)left);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		text += wrote;
		left -= wrote;
	}
	/* The mode is what it says, whatever the umask takes away. */
	if (left > 0 || fchmod(fd, mode) || fsync(fd)) {
		cannot(e, "write", path);
		close(fd);
		unlink(path);
		return -1;
	}
	close(fd);
	return 0;
}

static int write_pair(EVP_PKEY *pair, const char *private_path, const char *public_path,
		      struct error *e)
{
	/* Memory that is wiped when it is given back. */
	BIO *private = BIO_new(BIO_s_secmem()), *public = BIO_new(BIO_s_mem());
	int rc;

	must(private && public &&
	     PEM_write_bio_PKCS8PrivateKey(private, pair, NULL, NULL, 0, NULL, NULL) == 1 &&
	     PEM_write_bio_PUBKEY(public, pair) == 1);
	rc = write_file(private_path, 0600, private, e);
	if (rc == 0 && write_file(public_path, 0644, public, e)) {
		unlink(private_path);
		rc = -1;
	}
	BIO_free(private);
	BIO_free(public);
	return rc;
}

static int sync_folder(const char *folder, struct error *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return cannot(e, "open", folder);
	/* A file system that cannot sync a folder says EINVAL. */
	rc = fsync(fd) && errno != EINVAL ? cannot(e, "write", folder) : 0;
	close(fd);
	return rc;
}

int keys_generate(const char *folder, struct arena *arena, char ret_id[SHA_HEX], struct error *e)
{
	const char *paths[] = {arena_printf(arena, "%s/" KEYS_PRIVATE, folder),
			       arena_printf(arena, "%s/" KEYS_PUBLIC, folder)};
	struct stat status;
	EVP_PKEY *pair;
	int rc;

	if (mkdir(folder, 0700) && errno != EEXIST)
		return cannot(e, "make the folder", folder);
	/* Both are looked for before either is made. */
	for (size_t i = 0; i < 2; i++)
		if (lstat(paths[i], &status) == 0)
			return refuse(e, paths[i], "exists already: a key is never replaced");
	pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!pair) {
		ERR_clear_error();
		return error_set(e, ERROR_IO, NO_PLACE, "the system gives no random numbers");
	}
	key_id(pair, ret_id);
	rc = write_pair(pair, paths[0], paths[1], e);
	EVP_PKEY_free(pair);
	return rc ? rc : sync_folder(folder, e);
}

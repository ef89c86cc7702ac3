# SPDX-License-Identifier: BSD-2-Clause
"""Opens and makes sealed cookies with the key of a state_dir, for what no clock of a test can bring about."""

import base64
import ctypes
import os
import struct
from ctypes.util import find_library

PURPOSE = b"stickyd cookie v1\0"
VERSION, NONCE, BINDING, TAG = 1, 12, 16, 16
SET_TAG, GET_TAG = 0x11, 0x10		# EVP_CTRL_AEAD_*, openssl/evp.h

crypto = ctypes.CDLL(find_library("crypto"))
crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p


class Gcm:
	"""AES-256-GCM over one text."""

	def __init__(self, key, nonce, aad, sealing):
		self.ctx = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
		cipher = ctypes.c_void_p(crypto.EVP_aes_256_gcm())
		assert crypto.EVP_CipherInit_ex(self.ctx, cipher, None, key, nonce, int(sealing)) == 1
		self.update(aad, None)

	def update(self, data, room):
		n = ctypes.c_int()
		assert crypto.EVP_CipherUpdate(self.ctx, room, ctypes.byref(n), data, len(data)) == 1

	def finish(self, control, tag):
		n = ctypes.c_int()
		good = True
		if control == SET_TAG:
			good = crypto.EVP_CIPHER_CTX_ctrl(self.ctx, control, TAG, tag) == 1
		good = good and crypto.EVP_CipherFinal_ex(self.ctx, ctypes.create_string_buffer(16), ctypes.byref(n)) == 1
		if control == GET_TAG:
			good = good and crypto.EVP_CIPHER_CTX_ctrl(self.ctx, control, TAG, tag) == 1
		crypto.EVP_CIPHER_CTX_free(self.ctx)
		return good


def ring(state_dir):
	"""The keys of a key file, in order."""
	lines = (state_dir / "seal.key").read_text().split("\n")
	return [bytes.fromhex(line) for line in lines if line and line[0] != "#"]


def opened(key, pool, text):
	"""(tag, born, seen), or None where the key does not open it."""
	raw = base64.urlsafe_b64decode(text)
	nonce, sealed, tag = raw[1:1 + NONCE], raw[1 + NONCE:-TAG], raw[-TAG:]
	plain = ctypes.create_string_buffer(BINDING)
	gcm = Gcm(key, nonce, PURPOSE + pool.encode(), False)
	gcm.update(sealed, plain)
	return struct.unpack("!QII", plain.raw) if gcm.finish(SET_TAG, tag) else None


def closed(key, pool, tag, born, seen):
	"""A seal of this gateway, given and renewed at these times."""
	nonce, sealed, check = os.urandom(NONCE), ctypes.create_string_buffer(BINDING), ctypes.create_string_buffer(TAG)
	gcm = Gcm(key, nonce, PURPOSE + pool.encode(), True)
	gcm.update(struct.pack("!QII", tag, born, seen), sealed)
	assert gcm.finish(GET_TAG, check)
	return base64.urlsafe_b64encode(bytes([VERSION]) + nonce + sealed.raw + check.raw).decode()

"""Uses what the host and Python may disagree about: OpenSSL, zlib, libffi, extension modules in general."""

import asyncio
import ctypes
import hashlib
import json
import sqlite3
import ssl
import zlib


def handshake():
    """A whole TLS connection in memory, with ciphers that need no certificate."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for context in (client, server):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers('AECDH-AES256-SHA:@SECLEVEL=0')
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    ends[0].write(b'through TLS')
    return ends[1].read(100).decode()


def rows():
    with sqlite3.connect(':memory:') as database:
        database.execute('create table t (x)')
        database.executemany('insert into t values (?)', [(1,), (2,), (3,)])
        found = database.execute('select sum(x) from t').fetchone()[0]
    database.close()
    return found


async def later():
    await asyncio.sleep(0.01)
    return 'later'


def use():
    return {
        'versions': f'{ssl.OPENSSL_VERSION}, zlib {zlib.ZLIB_RUNTIME_VERSION}, sqlite {sqlite3.sqlite_version}',
        'tls': handshake(),
        'sha256': hashlib.sha256(b'subpy').hexdigest(),
        'rows': rows(),
        'asyncio': asyncio.run(later()),
        'json': json.loads(json.dumps({'a': [1, None]})),
        'ctypes': ctypes.CDLL(None).abs(-5),
        'zlib': zlib.decompress(zlib.compress(b'x' * 1000)) == b'x' * 1000,
    }

//! What to do when no CPython could be fetched.

use std::path::Path;

use crate::cli::Way;

/// What a reason may contain, in small letters, and what is wrong then. The first that fits is meant: a download that was changed on
/// its way is told together with its address, and a full disk together with the download.
const CAUSES: [(&[&str], Cause); 6] = [
    (&["checksum mismatch", "security error", "hash mismatch", "invalid checksum"], Cause::Hash),
    (&["no space left on device", "disk quota exceeded"], Cause::Disk),
    (
        &["permission denied", "read-only file system", "not a directory", "is not a folder", "is relative"],
        Cause::Folder,
    ),
    (
        &["requires go >=", "invalid go version", "unknown directive", "toolchain not available", "no download found"],
        Cause::Old,
    ),
    (&["certificate", "unknownissuer"], Cause::Certificate),
    (
        &[
            "no such host",
            "dial tcp",
            "connection refused",
            "connection reset",
            "timed out",
            "timeout",
            "unreachable",
            "dns error",
            "temporary failure in name resolution",
            "error sending request",
            "failed to download",
            "failed to fetch",
            "bad gateway",
            "service unavailable",
            "forbidden",
            "proxyconnect",
            "module lookup disabled",
            "unexpected eof",
        ],
        Cause::Network,
    ),
];

#[derive(Clone, Copy)]
enum Cause {
    Hash,
    Disk,
    Folder,
    Old,
    Certificate,
    Network,
}

/// Where a folder that is there already is as good.
const OR_NAME_ONE: &str = "or copy a CPython's folder here and name it: export SUBPY_PYTHON=/its/folder";

/// A line that mends it, for this reason. `place` is where it was to go.
pub fn remedy(way: Way, why: &str, place: &Path) -> String {
    let why = why.to_lowercase();
    let cause =
        CAUSES.into_iter().find(|(texts, _)| texts.iter().any(|text| why.contains(text))).map(|(_, cause)| cause);
    let (elsewhere, proxy, other) = match way {
        Way::Uv => {
            ("export UV_PYTHON_INSTALL_DIR=/a/folder UV_CACHE_DIR=/another", "UV_PYTHON_INSTALL_MIRROR", "--with go")
        }
        Way::Go => ("export SUBPY_CACHE=/a/folder", "GOPROXY", "--with uv"),
    };
    let place = place.display();
    match cause {
        Some(Cause::Hash) => format!(
            "what came is not what was published, so it was not used: unset {proxy}, if that names a mirror, and try again, or take {other}"
        ),
        Some(Cause::Disk) => format!("free 1 GB in {place}, or name a folder that has it: {elsewhere}"),
        Some(Cause::Folder) => format!("name a folder that can be written to: {elsewhere}"),
        Some(Cause::Old) => match way {
            Way::Uv => "uv self update  # one that knows CPython 3.14".to_owned(),
            Way::Go => "install the newest Go (https://go.dev/dl), or uv (https://docs.astral.sh/uv)".to_owned(),
        },
        Some(Cause::Certificate) => format!(
            "export SSL_CERT_FILE=/the/certificates.pem  # those of the proxy that stands between here and the network; {OR_NAME_ONE}"
        ),
        Some(Cause::Network) => {
            format!(
                "export HTTPS_PROXY=http://the.proxy:port, if the network is behind one, and try again; {OR_NAME_ONE}"
            )
        }
        None => format!("try it with the other program ({other}), {OR_NAME_ONE}"),
    }
}

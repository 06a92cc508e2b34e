//! Reads the version out of a libpython file without loading it.
//!
//! Loading the wrong library cannot be undone, so the patch level has to be known before: every CPython since 3.11
//! exports the constant `Py_Version`, and its eight bytes lie in the file.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{Refused, is_shortage};
use crate::platform::{NO_MEMORY, open_file, read_at};

const HEADER_SIZE: usize = 64;
const SEGMENT_SIZE: usize = 56;
const SECTION_SIZE: usize = 64;
const SYMBOL_SIZE: usize = 24;
const SEGMENT_LOAD: u32 = 1;
const SECTION_DYNSYM: u32 = 11;
/// A symbol table of a libpython is about 100 KiB; more than this is not one.
const LARGEST_TABLE: usize = 64 << 20;

/// `Py_Version` of a libpython, and a reason why there is none otherwise.
pub(super) fn python_version(library: &Path) -> Result<(u8, u8, u8), Refused> {
    let unreadable = |error: io::Error| match is_shortage(&error) {
        true => Refused::from(error),
        false => Refused::Unfit(format!("it cannot be read: {error}")),
    };
    let file = open(library).map_err(unreadable)?;
    let header = read(&file, 0, HEADER_SIZE).map_err(|_| "it is not an ELF file".to_owned())?;
    check_machine(&header)?;
    let address = symbol_address(&file, &header, b"Py_Version")
        .map_err(unreadable)?
        .ok_or("it exports no Py_Version, so it is not the library of a CPython 3.11 or newer")?;
    let value =
        constant_at(&file, &header, address).map_err(unreadable)?.ok_or("its Py_Version lies outside of the file")?;
    let [major, minor, patch, _] = u32::try_from(value).unwrap_or(0).to_be_bytes();
    Ok((major, minor, patch))
}

/// Not what is no file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = open_file(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

fn check_machine(header: &[u8]) -> Result<(), String> {
    if !header.starts_with(b"\x7fELF") {
        return Err("it is not an ELF file".to_owned());
    }
    let byte_order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if header[4] != 2 || header[5] != byte_order {
        return Err("it is not a 64-bit library of this machine".to_owned());
    }
    match own_machine() {
        Some(own) if own != u16_at(header, 18) => {
            Err(format!("it is for another kind of processor (ELF machine {}, not {own})", u16_at(header, 18)))
        }
        _ => Ok(()),
    }
}

/// The `e_machine` of this process, where it is known; elsewhere `dlopen` will tell.
fn own_machine() -> Option<u16> {
    match std::env::consts::ARCH {
        "x86_64" => Some(62),
        "aarch64" => Some(183),
        "riscv64" => Some(243),
        _ => None,
    }
}

fn symbol_address(file: &File, header: &[u8], name: &[u8]) -> io::Result<Option<u64>> {
    let sections = table(file, u64_at(header, 40), u16_at(header, 60), SECTION_SIZE)?;
    let mut sections = sections.chunks_exact(SECTION_SIZE);
    let mut all = sections.clone();
    let Some(symbols) = sections.find(|section| u32_at(section, 4) == SECTION_DYNSYM) else {
        return Ok(None);
    };
    let Some(strings) = all.nth(u32_at(symbols, 40) as usize) else {
        return Ok(None);
    };
    let strings = section_content(file, strings)?;
    let is_wanted = |symbol: &&[u8]| {
        let defined = u16_at(symbol, 6) != 0;
        let rest = strings.get(u32_at(symbol, 0) as usize..);
        defined && rest.is_some_and(|rest| rest.starts_with(name) && rest.get(name.len()) == Some(&0))
    };
    let symbols = section_content(file, symbols)?;
    let found = symbols.chunks_exact(SYMBOL_SIZE).find(is_wanted);
    Ok(found.map(|symbol| u64_at(symbol, 8)))
}

/// The eight bytes which the loader would map at `address`.
fn constant_at(file: &File, header: &[u8], address: u64) -> io::Result<Option<u64>> {
    let segments = table(file, u64_at(header, 32), u16_at(header, 56), SEGMENT_SIZE)?;
    for segment in segments.chunks_exact(SEGMENT_SIZE) {
        let (start, size) = (u64_at(segment, 16), u64_at(segment, 32));
        let inside = address.checked_sub(start).filter(|inside| *inside < size);
        if let (SEGMENT_LOAD, Some(inside)) = (u32_at(segment, 0), inside) {
            let bytes = read(file, u64_at(segment, 8).saturating_add(inside), 8)?;
            return Ok(Some(u64_at(&bytes, 0)));
        }
    }
    Ok(None)
}

fn section_content(file: &File, section: &[u8]) -> io::Result<Vec<u8>> {
    let size = usize::try_from(u64_at(section, 32)).unwrap_or(usize::MAX);
    read(file, u64_at(section, 24), size)
}

fn table(file: &File, offset: u64, count: u16, size: usize) -> io::Result<Vec<u8>> {
    read(file, offset, usize::from(count) * size)
}

pub(super) fn read(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    if size > LARGEST_TABLE {
        return Err(io::Error::other("a table in it is too large"));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| io::Error::from_raw_os_error(NO_MEMORY))?;
    bytes.resize(size, 0);
    read_at(file, &mut bytes, offset)?;
    Ok(bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(array_at(bytes, at))
}

/// The smallest library with the constant in it: one segment, a symbol table, a string table.
#[cfg(any(test, fuzzing))]
pub(super) fn library(symbol: &str, version: (u8, u8, u8)) -> Vec<u8> {
    const VALUE: usize = HEADER_SIZE + SEGMENT_SIZE;
    const BASE: u64 = 0x1000;
    let strings = VALUE + 8;
    let symbols = strings + symbol.len() + 2;
    let sections = symbols + 2 * SYMBOL_SIZE;
    let mut file = vec![0; sections + 3 * SECTION_SIZE];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF");
    put(4, &[2, if cfg!(target_endian = "little") { 1 } else { 2 }, 1]);
    put(18, &own_machine().unwrap_or(0).to_ne_bytes());
    put(32, &(HEADER_SIZE as u64).to_ne_bytes());
    put(40, &(sections as u64).to_ne_bytes());
    put(56, &1u16.to_ne_bytes());
    put(60, &3u16.to_ne_bytes());
    put(HEADER_SIZE, &SEGMENT_LOAD.to_ne_bytes());
    put(HEADER_SIZE + 8, &(VALUE as u64).to_ne_bytes());
    put(HEADER_SIZE + 16, &BASE.to_ne_bytes());
    put(HEADER_SIZE + 32, &8u64.to_ne_bytes());
    let value = u32::from_be_bytes([version.0, version.1, version.2, 0xf0]);
    put(VALUE, &u64::from(value).to_ne_bytes());
    put(strings + 1, symbol.as_bytes());
    put(symbols + SYMBOL_SIZE, &1u32.to_ne_bytes());
    put(symbols + SYMBOL_SIZE + 6, &1u16.to_ne_bytes());
    put(symbols + SYMBOL_SIZE + 8, &BASE.to_ne_bytes());
    for (index, kind, offset, end, link) in [(1, SECTION_DYNSYM, symbols, sections, 2u32), (2, 3, strings, symbols, 0)]
    {
        let at = sections + index * SECTION_SIZE;
        put(at + 4, &kind.to_ne_bytes());
        put(at + 24, &(offset as u64).to_ne_bytes());
        put(at + 32, &((end - offset) as u64).to_ne_bytes());
        put(at + 40, &link.to_ne_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    fn version_of(content: &[u8]) -> Result<(u8, u8, u8), String> {
        let folder = Folder::new();
        let path = folder.file("libpython3.14.so.1.0", content);
        python_version(&path).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let folder = Folder::new();
        let path = folder.fifo("libpython3.14.so.1.0");
        let reason = python_version(&path).unwrap_err();
        assert_eq!(reason, "it cannot be read: it is not a regular file".into());
    }

    #[test]
    fn the_version_is_read_from_the_file() {
        assert_eq!(version_of(&library("Py_Version", (3, 14, 6))), Ok((3, 14, 6)));
    }

    #[test]
    fn other_libraries_are_told_apart() {
        let reason = version_of(&library("Py_Versionary", (3, 14, 6))).unwrap_err();
        assert!(reason.contains("exports no Py_Version"), "{reason}");
        let reason = version_of(b"!<arch>\n").unwrap_err();
        assert!(reason.contains("not an ELF file"), "{reason}");
    }

    #[test]
    fn a_library_of_another_machine_is_refused() {
        let mut content = library("Py_Version", (3, 14, 6));
        content[4] = 1;
        let reason = version_of(&content).unwrap_err();
        assert!(reason.contains("64-bit"), "{reason}");
        let mut content = library("Py_Version", (3, 14, 6));
        content[18] ^= 0xff;
        let reason = version_of(&content);
        assert!(own_machine().is_none() || reason.unwrap_err().contains("another kind of processor"));
    }

    #[test]
    fn damaged_files_give_a_reason() {
        let whole = library("Py_Version", (3, 14, 6));
        for length in 0..whole.len() {
            assert!(version_of(&whole[..length]).is_err(), "cut to {length} bytes");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            let _ = version_of(&damaged);
        }
    }
}

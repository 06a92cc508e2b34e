//! Reads the version out of a python314.dll without loading it: the constant `Py_Version`, as `elf` does.

use std::fs::File;
use std::io;
use std::path::Path;

use super::elf::{open, read};
use super::{Refused, is_shortage};

const SECTION_SIZE: usize = 40;
/// A python314.dll exports some 1800 names.
const MOST_NAMES: u32 = 100_000;
const LONGEST_NAME: usize = 16;

/// `Py_Version` of a python314.dll, and a reason why there is none otherwise.
pub(super) fn python_version(library: &Path) -> Result<(u8, u8, u8), Refused> {
    let unreadable = |error: io::Error| match is_shortage(&error) {
        true => Refused::from(error),
        false => Refused::Unfit(format!("it cannot be read: {error}")),
    };
    let file = open(library).map_err(unreadable)?;
    let no_library = |_: io::Error| "it is no library of Windows".to_owned();
    let image = Image::of(&file).map_err(no_library)?.ok_or("it is no library of Windows")?;
    if image.machine != own_machine() {
        return Err(format!("it is for another kind of processor (machine {:#x})", image.machine).into());
    }
    let address = image
        .export(b"Py_Version")
        .map_err(unreadable)?
        .ok_or("it exports no Py_Version, so it is not the library of a CPython 3.11 or newer")?;
    let value = image.at(address, 4).map_err(unreadable)?.ok_or("its Py_Version lies outside of the file")?;
    let [_, patch, minor, major] = <[u8; 4]>::try_from(&*value).unwrap_or_default();
    Ok((major, minor, patch))
}

/// Of x86-64 and of arm64.
fn own_machine() -> u16 {
    if cfg!(target_arch = "aarch64") { 0xaa64 } else { 0x8664 }
}

struct Image<'a> {
    file: &'a File,
    machine: u16,
    /// Where its table of exports is.
    exports: u32,
    sections: Vec<u8>,
}

impl Image<'_> {
    /// None: it is none of 64 bits.
    fn of(file: &File) -> io::Result<Option<Image<'_>>> {
        let begin = read(file, 0, 64)?;
        let at = u64::from(u32_at(&begin, 60));
        let header = read(file, at, 24)?;
        if !begin.starts_with(b"MZ") || !header.starts_with(b"PE\0\0") {
            return Ok(None);
        }
        let (count, size) = (u16_at(&header, 6), usize::from(u16_at(&header, 20)));
        let optional = read(file, at + 24, size)?;
        // What has 64 bits begins with 0x20b, and has the directories of its tables at 112.
        if size < 120 || u16_at(&optional, 0) != 0x20b {
            return Ok(None);
        }
        let sections = read(file, at + 24 + size as u64, usize::from(count) * SECTION_SIZE)?;
        Ok(Some(Image { file, machine: u16_at(&header, 4), exports: u32_at(&optional, 112), sections }))
    }

    /// The bytes which the loader would map at an address. None: they are not in the file.
    fn at(&self, address: u32, size: usize) -> io::Result<Option<Vec<u8>>> {
        for section in self.sections.chunks_exact(SECTION_SIZE) {
            let (start, in_file) = (u32_at(section, 12), u32_at(section, 16));
            let inside = address.checked_sub(start).filter(|inside| *inside < in_file);
            if let Some(inside) = inside {
                return read(self.file, u64::from(u32_at(section, 20)) + u64::from(inside), size).map(Some);
            }
        }
        Ok(None)
    }

    /// The numbers of a table.
    fn table(&self, address: u32, count: u32, size: usize) -> io::Result<Vec<u8>> {
        Ok(self.at(address, count as usize * size)?.unwrap_or_default())
    }

    /// The address of what it exports by this name.
    fn export(&self, name: &[u8]) -> io::Result<Option<u32>> {
        let Some(exports) = self.at(self.exports, 40)? else { return Ok(None) };
        let (functions, names) = (u32_at(&exports, 20), u32_at(&exports, 24));
        if functions > MOST_NAMES || names > MOST_NAMES {
            return Err(io::Error::other("a table in it is too large"));
        }
        let addresses = self.table(u32_at(&exports, 28), functions, 4)?;
        let texts = self.table(u32_at(&exports, 32), names, 4)?;
        let ordinals = self.table(u32_at(&exports, 36), names, 2)?;
        // They are sorted.
        let texts: Vec<u32> = texts.chunks_exact(4).map(|text| u32_at(text, 0)).collect();
        let (mut low, mut high) = (0, texts.len());
        while low < high {
            let middle = low.midpoint(high);
            let found = self.name(texts[middle])?;
            match found.as_slice().cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let ordinal = ordinals.chunks_exact(2).nth(middle).map(|it| usize::from(u16_at(it, 0)));
                    let address = ordinal.and_then(|ordinal| addresses.chunks_exact(4).nth(ordinal));
                    return Ok(address.map(|address| u32_at(address, 0)));
                }
            }
        }
        Ok(None)
    }

    /// The beginning of a name.
    fn name(&self, address: u32) -> io::Result<Vec<u8>> {
        let mut name = self.at(address, LONGEST_NAME)?.unwrap_or_default();
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    /// The smallest library with the constant, and one other, in it: one section, and what it exports.
    fn library(symbol: &str, version: (u8, u8, u8)) -> Vec<u8> {
        const SECTION: usize = 0x200;
        const ADDRESS: u32 = 0x1000;
        let mut file = vec![0; 0x400];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(60, &64u32.to_le_bytes());
        put(64, b"PE\0\0");
        put(68, &own_machine().to_le_bytes());
        put(70, &1u16.to_le_bytes());
        put(84, &120u16.to_le_bytes());
        put(88, &0x20bu16.to_le_bytes());
        put(88 + 112, &ADDRESS.to_le_bytes());
        let section = 88 + 120;
        for (at, value) in [(12, ADDRESS), (16, 0x200), (20, SECTION as u32)] {
            put(section + at, &u32::to_le_bytes(value));
        }
        // The table of exports, its three tables, the names, the constant.
        let (functions, names, ordinals, texts, value) = (0x40u32, 0x50, 0x60, 0x80, 0x100);
        for (at, number) in
            [(20, 2), (24, 2), (28, ADDRESS + functions), (32, ADDRESS + names), (36, ADDRESS + ordinals)]
        {
            put(SECTION + at, &u32::to_le_bytes(number));
        }
        put(SECTION + functions as usize + 4, &(ADDRESS + value).to_le_bytes());
        put(SECTION + names as usize, &(ADDRESS + texts).to_le_bytes());
        put(SECTION + names as usize + 4, &(ADDRESS + texts + 8).to_le_bytes());
        put(SECTION + ordinals as usize + 2, &1u16.to_le_bytes());
        put(SECTION + texts as usize, b"Py_Ab\0");
        put(SECTION + texts as usize + 8, symbol.as_bytes());
        put(SECTION + value as usize, &[0xf0, version.2, version.1, version.0]);
        file
    }

    fn version_of(content: &[u8]) -> Result<(u8, u8, u8), String> {
        let folder = Folder::new();
        let path = folder.file("python314.dll", content);
        python_version(&path).map_err(|refused| refused.to_string())
    }

    #[test]
    fn the_version_is_read_from_the_file() {
        assert_eq!(version_of(&library("Py_Version", (3, 14, 6))), Ok((3, 14, 6)));
    }

    #[test]
    fn other_libraries_are_told_apart() {
        let reason = version_of(&library("Py_Versionary", (3, 14, 6))).unwrap_err();
        assert!(reason.contains("exports no Py_Version"), "{reason}");
        assert_eq!(version_of(b"\x7fELF").unwrap_err(), "it is no library of Windows");
        let mut content = library("Py_Version", (3, 14, 6));
        content[68] ^= 0xff;
        assert!(version_of(&content).unwrap_err().contains("another kind of processor"));
    }

    #[test]
    fn damaged_files_give_a_reason() {
        let whole = library("Py_Version", (3, 14, 6));
        for length in 0..0x304 {
            assert!(version_of(&whole[..length]).is_err(), "cut to {length} bytes");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            let _ = version_of(&damaged);
        }
    }
}

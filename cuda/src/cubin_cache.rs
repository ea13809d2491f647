//! **Cubin cache**: machine code that outlives the process that compiled it.
//!
//! NVRTC takes a tenth of a second to one second a text, and a training run has
//! tens of them. An entry is a file named by the hash of its key; the key is
//! all that the code depends on: architecture, compiler version, options and
//! the whole text.
//!
//! | environment | folder |
//! |---|---|
//! | `FLOWGRAD_CUBIN_CACHE` | the one it names; none if it is `off` |
//! | else `XDG_CACHE_HOME`, if absolute | `flowgrad/cubin` in it |
//! | else `HOME` (`LOCALAPPDATA` on Windows) | `.cache/flowgrad/cubin` (`flowgrad\cubin`) in it |
//!
//! Nothing here is an error: what cannot be read is compiled, what cannot be
//! written is compiled again next time. An entry is written beside its place
//! and renamed to it, so nobody sees half of one; it is believed only if it is
//! a plain file with the whole key, the lengths it says and the checksum of
//! all of it. That guards against accidents, not against somebody who may
//! write to the folder: it is made for its owner alone. Of more than a thousand
//! entries, which other versions and machines leave behind, the oldest go.
//!
//! An entry: `MAGIC`, then key, report and cubin, each behind its length, then
//! the checksum of all before; lengths and checksum are 8 bytes, lowest first.

use crate::compile::Compiled;
use crate::source::fnv1a;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"flowgrad cubin 1\n";

/// More than any entry has; nothing longer is read.
const LONGEST: u64 = 64 << 20;

/// As many entries as stay; a program has some hundred.
const MOST: usize = 1024;

/// A folder of entries, or none.
#[derive(Clone, Debug)]
pub(crate) struct CubinCache {
    folder: Option<PathBuf>,
}

impl CubinCache {
    /// The cache that the environment asks for.
    pub(crate) fn of_environment() -> Self {
        CubinCache {
            folder: folder(|name| env::var_os(name)),
        }
    }

    /// What was kept under a key, if all of it is there.
    pub(crate) fn get(&self, key: &str) -> Option<Compiled> {
        let path = self.path(key)?;
        // Links, pipes and folders are not followed or opened.
        let is_plain = fs::symlink_metadata(&path).ok()?.is_file();
        let mut entry = Vec::new();
        if is_plain {
            let file = fs::File::open(&path).ok()?;
            file.take(LONGEST).read_to_end(&mut entry).ok()?;
        }
        decode(key, &entry)
    }

    /// Keeps machine code, if it is that and the folder can be written.
    pub(crate) fn put(&self, key: &str, compiled: &Compiled) {
        if let Some(path) = self.path(key)
            && is_machine_code(&compiled.cubin)
        {
            // Best effort, as the head of this file says.
            let _ = write_whole(&path, |file| file.write_all(&encode(key, compiled)));
            if let Some(folder) = &self.folder {
                let _ = forget_oldest(folder, MOST);
            }
        }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let name = format!("{:016x}.cubin", fnv1a(key.as_bytes()));
        self.folder.as_ref().map(|folder| folder.join(name))
    }
}

/// Where entries lie, by what a variable of the environment holds.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let given = |name| variable(name).filter(|word| !word.is_empty());
    if let Some(own) = given("FLOWGRAD_CUBIN_CACHE") {
        return (own != "off").then(|| PathBuf::from(own));
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = given("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute);
    let home = || match cfg!(windows) {
        true => given("LOCALAPPDATA").map(PathBuf::from),
        false => given("HOME").map(|home| Path::new(&home).join(".cache")),
    };
    let base = base.or_else(home).filter(absolute)?;
    Some(base.join("flowgrad").join("cubin"))
}

/// Machine code is an ELF file; the emulator's stand-in is not, and means
/// nothing to another process.
fn is_machine_code(cubin: &[u8]) -> bool {
    cubin.starts_with(b"\x7fELF")
}

fn encode(key: &str, compiled: &Compiled) -> Vec<u8> {
    let mut entry = MAGIC.to_vec();
    for part in [key.as_bytes(), compiled.report.as_bytes(), &compiled.cubin] {
        entry.extend((part.len() as u64).to_le_bytes());
        entry.extend(part);
    }
    entry.extend(fnv1a(&entry).to_le_bytes());
    entry
}

/// The machine code of an entry, if it is whole and of this key.
fn decode(key: &str, entry: &[u8]) -> Option<Compiled> {
    let (body, sum) = entry.split_last_chunk()?;
    if u64::from_le_bytes(*sum) != fnv1a(body) {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    let mut part = || {
        let (length, behind) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (part, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some(part)
    };
    let (own_key, report, cubin) = (part()?, part()?, part()?);
    if own_key != key.as_bytes() || !rest.is_empty() || !is_machine_code(cubin) {
        return None;
    }
    Some(Compiled {
        cubin: cubin.to_vec(),
        report: String::from_utf8(report.to_vec()).ok()?,
    })
}

/// Writes a file beside its place and renames it to it. If that fails, what
/// stood there stands, and nothing is left beside it.
fn write_whole(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_private(folder)?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    write(part.as_file_mut())?;
    // Else a crash of the machine may leave the name without the contents.
    part.as_file().sync_all()?;
    part.persist(path)?;
    Ok(())
}

/// Removes all entries but the latest, as many as `most`.
fn forget_oldest(folder: &Path, most: usize) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // What somebody else put there is theirs.
        if path.extension().is_some_and(|ending| ending == "cubin") {
            entries.push((fs::symlink_metadata(&path)?.modified()?, path));
        }
    }
    entries.sort_unstable();
    let oldest = entries.len().saturating_sub(most);
    for (_, path) in &entries[..oldest] {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Makes a folder, for its owner alone where the system knows such a thing.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled() -> Compiled {
        Compiled {
            cubin: b"\x7fELF and the code of a kernel".to_vec(),
            report: "Used 32 registers\n".to_owned(),
        }
    }

    fn same(found: Option<Compiled>, expected: &Compiled) -> bool {
        let same =
            |found: &Compiled| found.cubin == expected.cubin && found.report == expected.report;
        found.as_ref().is_some_and(same)
    }

    fn cache(folder: &Path) -> CubinCache {
        CubinCache {
            folder: Some(folder.to_owned()),
        }
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|e| e.expect("readable").file_name()).collect()
    }

    #[test]
    fn what_was_put_is_found_under_its_own_key() {
        let room = tempfile::tempdir().expect("there is room");
        let folder = room.path().join("not/yet/there");
        let cache = cache(&folder);
        assert!(cache.get("a").is_none());
        cache.put("a", &compiled());
        assert!(same(cache.get("a"), &compiled()));
        assert!(cache.get("b").is_none());
        assert_eq!(names(&folder).len(), 1, "nothing is left beside it");
        // Another one under the same key takes its place.
        let other = Compiled {
            report: String::new(),
            ..compiled()
        };
        cache.put("a", &other);
        assert!(same(cache.get("a"), &other));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&folder).expect("it is there").permissions();
            assert_eq!(mode.mode() & 0o777, 0o700, "for its owner alone");
        }
    }

    /// Every byte changed, and every length cut off: never believed, and
    /// rewritten.
    #[test]
    fn a_damaged_entry_is_never_believed() {
        let entry = encode("key", &compiled());
        assert!(same(decode("key", &entry), &compiled()));
        for place in 0..entry.len() {
            for change in [1, 0x80, 0xff] {
                let mut damaged = entry.clone();
                damaged[place] ^= change;
                assert!(decode("key", &damaged).is_none(), "byte {place}");
            }
            assert!(decode("key", &entry[..place]).is_none(), "cut at {place}");
        }
        let longer = [&entry[..], b"x"].concat();
        assert!(decode("key", &longer).is_none());
        assert!(decode("", &[]).is_none());
    }

    /// With a checksum that fits, so that only the reading can refuse.
    #[test]
    fn a_hostile_entry_is_never_believed() {
        let signed = |body: Vec<u8>| {
            let sum = fnv1a(&body).to_le_bytes();
            [body, sum.to_vec()].concat()
        };
        let long = |n: u64| [MAGIC, &n.to_le_bytes()].concat();
        for body in [
            long(u64::MAX),
            long(1 << 62),
            long(0),
            MAGIC.to_vec(),
            b"flowgrad cubin 2\n".to_vec(),
            [&encode("key", &compiled())[..], b"more"].concat(),
        ] {
            assert!(decode("key", &signed(body)).is_none());
        }
        // The whole of another key's entry, as a collision of names would have.
        assert!(decode("other", &encode("key", &compiled())).is_none());
        let no_code = Compiled {
            cubin: b"emulated /somewhere".to_vec(),
            ..compiled()
        };
        assert!(decode("key", &encode("key", &no_code)).is_none());
    }

    #[test]
    fn damage_on_the_disk_is_mended() {
        let room = tempfile::tempdir().expect("there is room");
        let cache = cache(room.path());
        let path = cache.path("key").expect("a folder");
        let spoil: [fn(&Path); 4] = [
            |path| fs::write(path, b"").expect("written"),
            |path| fs::write(path, [0xff; 5000]).expect("written"),
            |path| {
                let whole = fs::read(path).expect("an entry");
                fs::write(path, &whole[..whole.len() / 2]).expect("written");
            },
            |path| {
                fs::remove_file(path).expect("it was there");
                #[cfg(unix)]
                std::os::unix::fs::symlink("/dev/zero", path).expect("linked");
            },
        ];
        for spoil in spoil {
            cache.put("key", &compiled());
            assert!(same(cache.get("key"), &compiled()));
            spoil(&path);
            assert!(cache.get("key").is_none());
            cache.put("key", &compiled());
            assert!(same(cache.get("key"), &compiled()));
        }
    }

    /// A folder that cannot be made or written, an entry's place that is a
    /// folder, and a disk that fills up half way: no entry, and no harm.
    #[test]
    fn what_cannot_be_written_is_let_be() {
        let room = tempfile::tempdir().expect("there is room");
        let file = room.path().join("a file");
        fs::write(&file, b"x").expect("written");
        let within_a_file = cache(&file);
        within_a_file.put("key", &compiled());
        assert!(within_a_file.get("key").is_none());

        let here = cache(room.path());
        let path = here.path("key").expect("a folder");
        fs::create_dir(&path).expect("made");
        here.put("key", &compiled());
        assert!(here.get("key").is_none());
        fs::remove_dir(&path).expect("it is still a folder");

        here.put("key", &compiled());
        let full = |file: &mut fs::File| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert!(write_whole(&path, full).is_err());
        assert!(
            same(here.get("key"), &compiled()),
            "what stood there stands"
        );
        assert_eq!(names(room.path()).len(), 2, "and half of one is not left");

        let none = CubinCache { folder: None };
        none.put("key", &compiled());
        assert!(none.get("key").is_none());
    }

    #[test]
    fn the_oldest_entries_go_and_nothing_else() {
        let room = tempfile::tempdir().expect("there is room");
        let cache = cache(room.path());
        let begin = std::time::SystemTime::now();
        for (age, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
            cache.put(key, &compiled());
            let path = cache.path(key).expect("a folder");
            let file = fs::File::options().append(true).open(path);
            let before = begin - std::time::Duration::from_secs(age as u64);
            file.and_then(|file| file.set_modified(before))
                .expect("set");
        }
        let foreign = room.path().join("notes.txt");
        fs::write(&foreign, b"mine").expect("written");
        forget_oldest(room.path(), 4).expect("nothing to do");
        assert_eq!(names(room.path()).len(), 5);
        forget_oldest(room.path(), 2).expect("removed");
        let kept = ["a", "b", "c", "d"].map(|key| cache.get(key).is_some());
        assert_eq!(kept, [true, true, false, false]);
        assert!(foreign.exists());
        // With no room for one more, the next one is there and the oldest is not.
        for key in 0..MOST {
            fs::write(cache.path(&key.to_string()).expect("a folder"), b"x").expect("written");
        }
        cache.put("e", &compiled());
        assert!(same(cache.get("e"), &compiled()));
        assert!(cache.get("b").is_none());
        assert_eq!(names(room.path()).len(), MOST + 1);
    }

    /// The emulator's stand-in for code would mean nothing next time.
    #[test]
    fn only_machine_code_is_kept() {
        let room = tempfile::tempdir().expect("there is room");
        let stand_in = Compiled {
            cubin: b"emulated /tmp/a.so\0".to_vec(),
            ..compiled()
        };
        cache(room.path()).put("key", &stand_in);
        assert!(names(room.path()).is_empty());
    }

    #[test]
    fn the_folder_is_the_platforms_or_the_users() {
        let with = |pairs: &[(&str, &str)]| {
            folder(|name| {
                let pair = pairs.iter().find(|(own, _)| *own == name);
                pair.map(|(_, word)| OsString::from(word))
            })
        };
        let own = ("FLOWGRAD_CUBIN_CACHE", "here");
        let (xdg, home) = (("XDG_CACHE_HOME", "/cache"), ("HOME", "/home/me"));
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(with(&[own, xdg, home]), path("here"));
        assert_eq!(with(&[("FLOWGRAD_CUBIN_CACHE", "off"), xdg, home]), None);
        assert_eq!(with(&[]), None);
        #[cfg(unix)]
        {
            assert_eq!(with(&[xdg, home]), path("/cache/flowgrad/cubin"));
            assert_eq!(with(&[home]), path("/home/me/.cache/flowgrad/cubin"));
            let empty = ("FLOWGRAD_CUBIN_CACHE", "");
            assert_eq!(with(&[empty, xdg]), path("/cache/flowgrad/cubin"));
            // A relative one is to be ignored, says its specification.
            let relative = ("XDG_CACHE_HOME", "cache");
            assert_eq!(
                with(&[relative, home]),
                path("/home/me/.cache/flowgrad/cubin")
            );
            assert_eq!(with(&[relative]), None);
        }
    }
}

//! **Files** of a user's own data: `.npy` and `.csv`, a point a row.
//!
//! A file may be anything, so nothing it says is believed before it is checked
//! against what is there: a header that announces a petabyte costs no more
//! memory than the file is long, and whatever is wrong is one [`Error::Data`]
//! that names the file, the value and its place, and what was expected.
//!
//! | file | numbers | shape |
//! |---|---|---|
//! | `.npy` | floats of 4 or 8 bytes, integers of 1 to 8, either byte order, C or Fortran order | `[n, d]`, or `[n]` for points on a line |
//! | `.csv` | anything Rust reads as a float, between commas; a first line without any number is a header | every line of one length |

use crate::Error;
use crate::error::quoted;
use crate::ordinary_file;
use autograd::Real;
use csv::{ByteRecord, ReaderBuilder, Trim};
use ndarray::{Array2, ArrayD, Axis, Ix2};
use ndarray_npy::npy::header::Header;
use ndarray_npy::{ReadNpyExt, ReadableElement};
use std::path::Path;

/// Reads the points of a file as `[n, d]`, n and d at least 1, every number
/// finite. Integers and doubles are rounded to the nearest `F`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Data`] if it does not
/// hold points.
pub fn read_points<F: Real>(path: &Path) -> Result<Array2<F>, Error> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let parse = match extension.to_ascii_lowercase().as_str() {
        "npy" => parse_npy,
        "csv" => parse_csv,
        _ => {
            let found = format!("the extension is {}", quoted(extension));
            return Err(Error::data(
                path,
                found,
                "a file name ending in .npy or .csv",
            ));
        }
    };
    let bytes = ordinary_file::read(path)?;
    parse(&bytes).map_err(|Complaint { found, expected }| Error::data(path, found, expected))
}

/// What is wrong with the contents of a file, before its name is added.
#[derive(Debug)]
struct Complaint {
    found: String,
    expected: String,
}

fn complain<T>(found: impl Into<String>, expected: impl Into<String>) -> Result<T, Complaint> {
    Err(Complaint {
        found: found.into(),
        expected: expected.into(),
    })
}

/// Longest header accepted; NumPy's own readers stop at 10 000 bytes.
const LONGEST_HEADER: usize = 10_000;

fn parse_npy<F: Real>(bytes: &[u8]) -> Result<Array2<F>, Complaint> {
    let header_end = npy_header_end(bytes)?;
    let header = match Header::from_reader(&mut &bytes[..header_end]) {
        Ok(header) => header,
        Err(error) => {
            return complain(
                format!("its header: {error}"),
                "a header as NumPy writes it",
            );
        }
    };
    let descriptor = match header.type_descriptor.as_string() {
        Some(descriptor) => descriptor.as_str(),
        None => return complain("records of several fields", NUMBERS),
    };
    let element = descriptor.trim_start_matches(['<', '>', '|', '=']);
    let read = match element {
        "f4" => read_elements::<f32, F>,
        "f8" => read_elements::<f64, F>,
        "i1" => read_elements::<i8, F>,
        "i2" => read_elements::<i16, F>,
        "i4" => read_elements::<i32, F>,
        "i8" => read_elements::<i64, F>,
        "u1" => read_elements::<u8, F>,
        "u2" => read_elements::<u16, F>,
        "u4" => read_elements::<u32, F>,
        "u8" => read_elements::<u64, F>,
        _ => return complain(format!("numbers of type {}", quoted(descriptor)), NUMBERS),
    };
    if !matches!(header.shape.len(), 1 | 2) {
        return complain(format!("an array of shape {:?}", header.shape), POINTS);
    }
    if header.shape.contains(&0) {
        return complain(
            format!("an empty array of shape {:?}", header.shape),
            POINTS,
        );
    }
    // The array is not allocated before its size agrees with the file's.
    let size = element.as_bytes()[1] - b'0';
    let announced = header
        .shape
        .iter()
        .try_fold(usize::from(size), |a, &b| a.checked_mul(b));
    let present = bytes.len() - header_end;
    if announced != Some(present) {
        let announced = announced.map_or("more than any memory".into(), |a| a.to_string());
        return complain(
            format!(
                "{present} bytes of numbers, where shape {:?} of {} takes {announced}",
                header.shape,
                quoted(descriptor)
            ),
            "a whole file",
        );
    }
    read(bytes)
}

const NUMBERS: &str = "floats of 4 or 8 bytes (f4, f8) or integers (i1 to i8, u1 to u8)";
const POINTS: &str = "shape [n, d] or [n] with n and d from 1";

/// Where the header ends, if it is one that can be parsed safely: the parser
/// would reserve any length announced, recurse into brackets, and try nested
/// parentheses in exponentially many ways.
fn npy_header_end(bytes: &[u8]) -> Result<usize, Complaint> {
    let expected = "a .npy file as NumPy writes it";
    if !bytes.starts_with(b"\x93NUMPY") {
        return complain("it does not begin like a .npy file", expected);
    }
    let (begin, length) = match *bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]).into()),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d])),
        _ => return complain("the file is cut short or of an unknown version", expected),
    };
    let length = length as usize;
    if length > LONGEST_HEADER {
        let found = format!("its header announces {length} bytes");
        return complain(found, format!("at most {LONGEST_HEADER}"));
    }
    let Some(text) = bytes.get(begin..begin + length) else {
        return complain("the file ends inside its header", expected);
    };
    let mut depth = 0_i32;
    for &byte in text {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        // A dictionary that holds a tuple; field lists would be deeper.
        if depth > 3 || !(byte.is_ascii_graphic() || byte == b' ' || byte == b'\n') {
            return complain("its header is not a plain dictionary", expected);
        }
    }
    Ok(begin + length)
}

/// A number as a file holds it.
trait Element: ReadableElement + Copy {
    fn to_f64(self) -> f64;
}

macro_rules! elements {
    ($($number:ty),*) => {$(
        impl Element for $number {
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
elements!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);

fn read_elements<T: Element, F: Real>(bytes: &[u8]) -> Result<Array2<F>, Complaint> {
    let array = match ArrayD::<T>::read_npy(bytes) {
        Ok(array) if array.ndim() == 1 => array.insert_axis(Axis(1)),
        Ok(array) => array,
        Err(error) => return complain(error.to_string(), "a .npy file as NumPy writes it"),
    };
    let mut points = Array2::zeros((array.shape()[0], array.shape()[1]));
    let array = array
        .into_dimensionality::<Ix2>()
        .expect("one or two axes were counted");
    for (((row, column), number), &read) in points.indexed_iter_mut().zip(&array) {
        let place = || format!("row {row}, column {column} (counted from 0)");
        *number = finite(Element::to_f64(read), place)?;
    }
    Ok(points)
}

/// `x` as an `F`, if it is a finite one; `place` says where it stood.
fn finite<F: Real>(x: f64, place: impl Fn() -> String) -> Result<F, Complaint> {
    let number = F::from_f64(x);
    if number.is_finite() {
        Ok(number)
    } else {
        complain(
            format!("{x:?} at {}", place()),
            format!("finite numbers that fit {}", F::NAME),
        )
    }
}

fn parse_csv<F: Real>(bytes: &[u8]) -> Result<Array2<F>, Complaint> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        // Rows of other lengths are reported here, with what was expected.
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes);
    let (mut numbers, mut width, mut rows) = (Vec::new(), None, 0);
    let mut record = ByteRecord::new();
    let mut first = true;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return complain(error.to_string(), "lines of numbers between commas"),
        }
        let header = first && record.iter().all(|field| number(field).is_none());
        first = false;
        let line = record.position().map_or(0, csv::Position::line);
        let expected = *width.get_or_insert(record.len());
        if record.len() != expected {
            return complain(
                format!("{} fields in line {line}", record.len()),
                format!("{expected}, as in the first line"),
            );
        }
        if header {
            continue;
        }
        for (column, field) in record.iter().enumerate() {
            let place = || format!("line {line}, column {} (counted from 1)", column + 1);
            let Some(x) = number(field) else {
                let text = quoted(&String::from_utf8_lossy(field));
                return complain(format!("{text} at {}", place()), "a number between commas");
            };
            numbers.push(finite(x, place)?);
        }
        rows += 1;
    }
    match (rows, width) {
        (1.., Some(width)) => {
            Ok(Array2::from_shape_vec((rows, width), numbers).expect("every row has this width"))
        }
        _ => complain("no line of numbers", "at least one"),
    }
}

fn number(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ShapeBuilder, array};
    use ndarray_npy::{WritableElement, WriteNpyExt};
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use std::fs;

    fn npy<T: WritableElement, D: ndarray::Dimension>(array: &ndarray::Array<T, D>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).expect("memory takes all");
        bytes
    }

    /// A version 1 file with any header text and numbers.
    fn with_header(text: &str, numbers: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(text.len() + 1).expect("short").to_le_bytes());
        bytes.extend(text.bytes().chain([b'\n']).chain(numbers.iter().copied()));
        bytes
    }

    fn message<T>(result: Result<T, Complaint>) -> String {
        match result {
            Ok(_) => panic!("accepted"),
            Err(Complaint { found, expected }) => format!("{found}; expected {expected}"),
        }
    }

    #[test]
    fn every_type_order_and_rank_is_read() {
        let expected = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let read = |bytes: &[u8]| parse_npy::<f64>(bytes).expect("valid");
        macro_rules! each {
            ($($number:ty),*) => {$(
                let plain = expected.mapv(|x: f64| x as $number);
                assert_eq!(read(&npy(&plain)), expected);
                let mut fortran = ndarray::Array2::<$number>::zeros((2, 3).f());
                fortran.assign(&plain);
                let bytes = npy(&fortran);
                assert!(String::from_utf8_lossy(&bytes).contains("'fortran_order': True"));
                assert_eq!(read(&bytes), expected);
                assert_eq!(read(&npy(&plain.row(0).to_owned())), array![[1.0], [2.0], [3.0]]);
                // The other byte order, by hand.
                let name = stringify!($number);
                let (kind, bits) = name.split_at(1);
                let size = bits.parse::<usize>().expect("bits") / 8;
                let order = if size == 1 { '|' } else { '>' };
                let text = format!("{{'descr': '{order}{kind}{size}', 'fortran_order': False, 'shape': (2, 3), }}");
                let numbers: Vec<u8> = plain.iter().flat_map(|x| x.to_be_bytes()).collect();
                assert_eq!(read(&with_header(&text, &numbers)), expected, "{order} {name}");
            )*};
        }
        each!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);
        assert_eq!(
            parse_npy::<f32>(&npy(&expected)).expect("valid"),
            expected.mapv(|x| x as f32)
        );
    }

    #[test]
    fn what_is_wrong_with_an_array_is_named() {
        let text = |shape: &str, descr: &str| {
            format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
        };
        let mut nan = Array2::<f64>::zeros((4, 3));
        nan[[2, 1]] = f64::NAN;
        let big = Array2::from_elem((1, 1), 1e300);
        let deep = format!("{}{}", "(".repeat(40), ")".repeat(40));
        let cases = [
            (npy(&nan), "NaN at row 2, column 1"),
            (npy(&big), "1e300 at row 0, column 0"),
            (npy(&Array2::<f32>::zeros((0, 3))), "shape [0, 3]"),
            (npy(&Array2::<f32>::zeros((3, 0))), "shape [3, 0]"),
            (
                npy(&ndarray::Array3::<f32>::zeros((2, 2, 2))),
                "shape [2, 2, 2]",
            ),
            (npy(&ndarray::arr0(1.0_f64)), "shape []"),
            (npy(&array![[true]]), "\"|b1\""),
            (with_header(&text("(1, 1)", "'<c16'"), &[0; 16]), "\"<c16\""),
            (with_header(&text("(1,)", "'<f2'"), &[0; 2]), "\"<f2\""),
            (
                with_header(&text("(1,)", "[('a', '<f4')]"), &[0; 4]),
                "records",
            ),
            (
                with_header(&text("(1000000000000, 2)", "'<f8'"), &[0; 16]),
                "16000000000000",
            ),
            (
                with_header(&text("(4294967296, 4294967296)", "'<f8'"), &[0; 16]),
                "any memory",
            ),
            (
                with_header(&text("(99999999999999999999, 1)", "'<f8'"), &[]),
                "header",
            ),
            (with_header(&text("(-1, 2)", "'<f8'"), &[]), "header"),
            (with_header(&text("(2, 1)", "'<f8'"), &[0; 15]), "15 bytes"),
            (with_header(&text("(2, 1)", "'<f8'"), &[0; 17]), "17 bytes"),
            (
                with_header(&text(&deep, "'<f8'"), &[]),
                "not a plain dictionary",
            ),
            (with_header("", &[]), "header"),
            (b"PK\x03\x04".to_vec(), "does not begin"),
            (b"\x93NUMPY".to_vec(), "cut short"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "4294967295"),
            (b"\x93NUMPY\x01\x00\x40\x00{".to_vec(), "inside its header"),
            (vec![], "does not begin"),
        ];
        for (bytes, piece) in cases {
            let text = message(parse_npy::<f32>(&bytes));
            assert!(text.contains(piece), "{text:?} lacks {piece:?}");
        }
    }

    #[test]
    fn lines_of_numbers_are_read_with_or_without_header() {
        let expected = array![[1.0, -2.5], [3e2, 0.25]];
        for text in [
            "1,-2.5\n300,0.25\n",
            "1,-2.5\r\n300,0.25",
            "x,y\n1,-2.5\n3e2,.25\n",
            "\u{feff}\"x, the first\" , y\n\n 1 ,\"-2.5\"\n+3E+2,0.25\n\n",
        ] {
            assert_eq!(
                parse_csv::<f64>(text.as_bytes()).expect(text),
                expected,
                "{text:?}"
            );
        }
        assert_eq!(parse_csv::<f32>(b"7").expect("one number"), array![[7.0]]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named() {
        let cases: [(&[u8], &str); 12] = [
            (b"", "no line"),
            (b"\n\n", "no line"),
            (b"x,y\n", "no line"),
            (b"1,2\n3\n", "1 fields in line 2; expected 2"),
            (b"1,2\n3,4,5\n", "3 fields in line 2"),
            (b"x,y\n1,2,3\n", "3 fields in line 2; expected 2"),
            (b"1,2\n3,four\n", "\"four\" at line 2, column 2"),
            (b"x,1\n2,3\n", "\"x\" at line 1, column 1"),
            (b"1,2\n3,nan\n", "NaN at line 2, column 2"),
            (b"1,2\n-inf,3\n", "-inf at line 2, column 1"),
            (b"1,1e39\n", "1e39 at line 1, column 2"),
            (b"1;2\n3;4\n", "\"3;4\" at line 2, column 1"),
        ];
        for (bytes, piece) in cases {
            let text = message(parse_csv::<f32>(bytes));
            assert!(text.contains(piece), "{text:?} lacks {piece:?}");
        }
        assert!(message(parse_csv::<f32>(b"1,\xff\xfe\n")).contains("column 2"));
        assert!(message(parse_csv::<f32>(b"1,2\n3,\n")).contains("\"\" at line 2, column 2"));
    }

    /// Broken files of all sorts: an error or an array as large as the file
    /// allows, never a panic.
    #[test]
    fn no_mutation_of_a_file_makes_a_reader_panic_or_invent_numbers() {
        let points = Array2::from_shape_fn((7, 3), |(i, j)| i as f64 - 0.5 * j as f64);
        let table = "x,y,z\n1.5,2,-3\n4e-1,5,6\n7,8,9\n".as_bytes().to_vec();
        let (array, mut accepted) = (npy(&points), [0; 2]);
        for case in 0..20_000_u64 {
            let mut rng = StdRng::seed_from_u64(case);
            let kind = usize::from(case % 2 == 0);
            let mut bytes = [&table, &array][kind].clone();
            for _ in 0..rng.random_range(1..4) {
                if bytes.is_empty() {
                    break;
                }
                // Headers are where a mutation means most.
                let reach = if rng.random() {
                    bytes.len()
                } else {
                    bytes.len().min(90)
                };
                let place = rng.random_range(0..reach);
                match rng.random_range(0..5) {
                    0 => bytes.truncate(place),
                    1 => bytes[place] = rng.random(),
                    2 => bytes[place] = b"()[]{}'\",:0129-.eEnN\\\n "[rng.random_range(0..23)],
                    3 => drop(bytes.remove(place)),
                    _ => {
                        let piece = bytes[place..(place + 9).min(bytes.len())].to_vec();
                        bytes.splice(place..place, piece.repeat(rng.random_range(1..30)));
                    }
                }
            }
            let read = [parse_csv::<f32>, parse_npy::<f32>][kind];
            let result = std::panic::catch_unwind(|| read(&bytes));
            let result = result.unwrap_or_else(|_| panic!("case {case} panicked"));
            if let Ok(points) = result {
                accepted[kind] += 1;
                // At least a digit and a comma, or one byte, a number.
                assert!(points.len() <= bytes.len(), "case {case}");
                assert!(points.iter().all(|x| x.is_finite()), "case {case}");
            }
        }
        // Some mutations are harmless; if none or all were, the test is blind.
        assert!(
            accepted.iter().all(|n| (100..9_900).contains(n)),
            "{accepted:?}"
        );
    }

    /// The most this process ever held of address space, in bytes.
    #[cfg(target_os = "linux")]
    fn peak() -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmPeak:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }

    /// A header of a few bytes that announces 4 GiB of header, or an array of
    /// 8 GiB to 8 EiB, must not make the reader ask the system for it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_header_cannot_reserve_memory() {
        let before = peak().expect("the system reports its peak");
        let mut files = vec![b"\x93NUMPY\x03\x00\xf0\xff\xff\xff{".to_vec()];
        for power in 30..60 {
            let text = format!(
                "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, 1), }}",
                1_u64 << power
            );
            files.push(with_header(&text, &[0; 64]));
        }
        for bytes in files {
            assert!(parse_npy::<f32>(&bytes).is_err());
        }
        // Tests that run at the same moment, and their threads' stacks and
        // arenas, take far less than 2 GiB.
        let grown = peak().expect("as before") - before;
        assert!(grown < 2 << 30, "{grown} bytes");
    }

    #[test]
    fn paths_that_are_no_data_files_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| read_points::<f32>(&folder.path().join(name));
        fs::create_dir(folder.path().join("folder.npy")).expect("a folder");
        fs::write(folder.path().join("points.txt"), "1,2").expect("written");
        fs::write(folder.path().join("points.CSV"), "1,2").expect("written");
        for (name, piece) in [
            ("folder.npy", "it is a folder"),
            ("missing.csv", "cannot read"),
            (
                "points.txt",
                "\"txt\"; expected a file name ending in .npy or .csv",
            ),
            ("points", "the extension is \"\""),
        ] {
            let text = of(name).expect_err("no data").to_string();
            assert!(text.contains(piece) && text.contains(name), "{text}");
        }
        assert_eq!(of("points.CSV").expect("valid"), array![[1.0, 2.0]]);
        #[cfg(target_os = "linux")]
        {
            std::os::unix::fs::symlink("/dev/zero", folder.path().join("endless.npy"))
                .expect("a link");
            let text = of("endless.npy").expect_err("endless").to_string();
            assert!(text.contains("a device"), "{text}");
        }
    }
}

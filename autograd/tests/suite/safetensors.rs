//! Files of Python's safetensors, read and written: see
//! `data/safetensors_peer.py`, which is the other side.

use autograd::{Algebra, Archive, Cpu, Dense, Tensor, Tree};

/// A model with the names of the file.
#[derive(Clone, Debug)]
struct Model<A: Algebra> {
    layers: Vec<Dense<A>>,
    scale: Tensor<A>,
}

autograd::tree!(Model { layers, scale });

fn model(weight: &[usize], bias: &[usize]) -> Model<Cpu<f32>> {
    Model {
        layers: vec![Dense {
            weight: Tensor::full(weight, 0.0),
            bias: Tensor::full(bias, 0.0),
        }],
        scale: Tensor::scalar(0.0),
    }
}

/// The numbers both sides know.
fn known() -> [Vec<f32>; 3] {
    [
        vec![1.0, -2.5, 3.25, 0.1, -0.0, 1e-40],
        vec![f32::MAX, f32::from_bits(1), 7.0],
        vec![0.3],
    ]
}

const FROM_PYTHON: &[u8] = include_bytes!("../data/from_python.safetensors");
const FROM_FLOWGRAD: &[u8] = include_bytes!("../data/from_flowgrad.safetensors");

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_file_written_by_python_is_read_in_bits() {
    let archive = Archive::<f32>::from_bytes(FROM_PYTHON).expect("a valid file");
    let mut found = model(&[2, 3], &[3]);
    archive
        .fill_allowing_extra("", &mut found)
        .expect("it fits");
    for (leaf, expected) in found.leaves().iter().zip(known()) {
        assert_eq!(bits(leaf.as_slice()), bits(&expected));
    }
    let empty = archive.entries().find(|(name, _)| *name == "empty");
    assert_eq!(empty.expect("it is there").1[..], [0, 4]);
}

/// The bytes are those that Python's library was seen to read.
#[test]
fn a_file_for_python_has_the_bytes_it_reads() {
    let mut filled = model(&[2, 3], &[3]);
    let mut numbers = known().into_iter();
    filled.each_mut(&mut |leaf| {
        *leaf = Tensor::new(&leaf.shape(), numbers.next().expect("three leaves"));
    });
    let mut archive = Archive::new();
    archive.insert("", &filled);
    archive
        .metadata
        .insert("note".to_owned(), "a = b".to_owned());
    let bytes = archive.to_bytes();
    if std::env::var_os("UPDATE_SAFETENSORS").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/from_flowgrad.safetensors"
        );
        std::fs::write(path, &bytes).expect("the file is written");
    }
    assert!(
        bytes == FROM_FLOWGRAD,
        "the format has changed: run with UPDATE_SAFETENSORS=1, then the script's `read`"
    );
}

/// Everything that does not fit, in one text, and nothing is changed.
#[test]
fn all_that_does_not_fit_is_said_at_once() {
    let archive = Archive::<f32>::from_bytes(FROM_PYTHON).expect("a valid file");
    let mut right = model(&[2, 3], &[3]);
    assert_eq!(
        archive.fill("", &mut right).unwrap_err().to_string(),
        "3 tensors do not fit: \
         tensor \"empty\" of shape [0, 4] has no place in the model; \
         tensor \"counter\" of shape [2] has no place in the model; \
         tensor \"half\" of shape [1, 2] has no place in the model"
    );
    assert_eq!(right.layers[0].weight.to_vec(), [0.0; 6], "unchanged");
    let names = |tree: (Tensor<Cpu<f32>>, Tensor<Cpu<f32>>)| {
        #[derive(Debug)]
        struct Named<A: Algebra> {
            half: Tensor<A>,
            counter: Tensor<A>,
        }
        autograd::tree!(Named { half, counter });
        let mut wanted = Named {
            half: tree.0,
            counter: tree.1,
        };
        archive
            .fill_allowing_extra("", &mut wanted)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        names((Tensor::full(&[1, 2], 0.0), Tensor::full(&[2], 0.0))),
        "2 tensors do not fit: \
         tensor \"half\" has type F16, but the model needs f32; \
         tensor \"counter\" has type I64, but the model needs f32"
    );
    let mut wrong = model(&[3, 2], &[3]);
    wrong.layers.push(Dense {
        weight: Tensor::full(&[3, 1], 0.0),
        bias: Tensor::full(&[1], 0.0),
    });
    assert_eq!(
        archive
            .fill_allowing_extra("", &mut wrong)
            .unwrap_err()
            .to_string(),
        "3 tensors do not fit: \
         tensor \"layers.0.weight\" has shape [2, 3], but the model needs [3, 2]; \
         tensor \"layers.1.weight\" is missing; \
         tensor \"layers.1.bias\" is missing; \
         the file has counter, empty, half, layers.0.bias, layers.0.weight, scale"
    );
    // Read as the other number type, every leaf has the wrong one.
    let doubles = Archive::<f64>::from_bytes(FROM_PYTHON).expect("a valid file");
    let mut scale = Tensor::<Cpu<f64>>::scalar(0.0);
    assert_eq!(
        doubles.fill("scale", &mut scale).unwrap_err().to_string(),
        "tensor \"scale\" has type F32, but the model needs f64"
    );
    // Too much is judged under the prefix alone.
    let mut scale = Tensor::<Cpu<f32>>::scalar(0.0);
    archive.fill("scale", &mut scale).expect("it fits");
    assert_eq!(scale.item(), 0.3);
}

/// A file with one tensor of ones.
fn of_shape(shape: &[usize]) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let header = format!(
        "{{\"x\":{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[0,{}]}}}}",
        4 * count
    );
    let padded = format!("{header:width$}", width = header.len().next_multiple_of(8));
    let mut bytes = (padded.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(padded.as_bytes());
    bytes.extend((0..count).flat_map(|_| 1f32.to_le_bytes()));
    bytes
}

#[test]
fn six_axes_are_read_and_seven_are_named() {
    let six = Archive::<f32>::from_bytes(&of_shape(&[1, 2, 1, 1, 1, 3])).expect("a valid file");
    let mut found = Tensor::<Cpu<f32>>::full(&[1, 2, 1, 1, 1, 3], 0.0);
    six.fill("x", &mut found).expect("it fits");
    assert_eq!(found.to_vec(), [1.0; 6]);
    let seven = Archive::<f32>::from_bytes(&of_shape(&[1, 2, 1, 1, 1, 3, 1]));
    assert_eq!(
        seven
            .expect("a valid file")
            .fill("x", &mut found)
            .unwrap_err()
            .to_string(),
        "tensor \"x\" has 7 axes, at most 6 are supported"
    );
    // Six axes of another type are named by their type.
    let doubles = Archive::<f64>::from_bytes(&of_shape(&[1, 2, 1, 1, 1, 3]));
    let mut found = Tensor::<Cpu<f64>>::full(&[1, 2, 1, 1, 1, 3], 0.0);
    assert_eq!(
        doubles
            .expect("a valid file")
            .fill("x", &mut found)
            .unwrap_err()
            .to_string(),
        "tensor \"x\" has type F32, but the model needs f64"
    );
}

#[test]
fn a_file_is_written_and_read_whole() {
    let folder = std::env::temp_dir().join(format!("flowgrad-archive-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder is made");
    let path = folder.join("model.safetensors");
    let mut archive = Archive::<f32>::new();
    archive.insert("scale", &Tensor::<Cpu<f32>>::scalar(0.3));
    archive.write(&path).expect("the file is written");
    let read = Archive::<f32>::read(&path);
    std::fs::remove_dir_all(&folder).expect("the folder is removed");
    let mut scale = Tensor::<Cpu<f32>>::scalar(0.0);
    read.expect("it is read")
        .fill("scale", &mut scale)
        .expect("it fits");
    assert_eq!(scale.item(), 0.3);
    let missing = Archive::<f32>::read(&path).unwrap_err().to_string();
    assert!(
        missing.starts_with(&format!("{}: ", path.display())),
        "{missing}"
    );
}

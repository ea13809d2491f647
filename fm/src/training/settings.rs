//! **Settings** of a training: everything its result depends on.

use crate::Error;
use crate::coupling::Name;
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a training is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the data set, or path of a file.
    pub data: String,
    /// Pairing of noise and data.
    pub coupling: Name,
    /// `σ_min`, the thickness of the path.
    pub sigma: f64,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Number of Fourier features of the time.
    pub fourier: usize,
    /// Samples in a batch.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Decay of the moving average that is kept as the model.
    pub ema_decay: f64,
}

impl Settings {
    /// Refuses what cannot be trained.
    ///
    /// # Errors
    /// The first value out of range, with the range.
    pub fn validated(self) -> Result<Self, Error> {
        let positive = |name, value: usize| match value {
            0 => Err(Error::argument(name, value, "a whole number from 1")),
            _ => Ok(()),
        };
        positive("--batch", self.batch)?;
        if self.batch > MOST_ROWS {
            let most = format!("at most {MOST_ROWS}");
            return Err(Error::argument("--batch", self.batch, most));
        }
        if self.coupling == Name::Ot && self.batch > MOST_PAIRED {
            let most = format!("at most {MOST_PAIRED} with --coupling ot");
            return Err(Error::argument("--batch", self.batch, most));
        }
        if self.steps == 0 || self.steps > u64::from(u32::MAX) {
            let range = format!("a whole number from 1 to {}", u32::MAX);
            return Err(Error::argument("--steps", self.steps, range));
        }
        if self.hidden.is_empty() || self.hidden.len() > 64 {
            let count = format!("{} widths", self.hidden.len());
            return Err(Error::argument("--hidden", count, "1 to 64 widths"));
        }
        for &width in &self.hidden {
            positive("--hidden", width)?;
            if width > MOST_WIDTH {
                let most = format!("widths of at most {MOST_WIDTH}");
                return Err(Error::argument("--hidden", width, most));
            }
        }
        if self.fourier > 64 {
            return Err(Error::argument("--fourier", self.fourier, "at most 64"));
        }
        let within = |name, value: f64, ok: bool, range: &str| match ok {
            true => Ok(()),
            false => Err(Error::argument(name, value, range)),
        };
        let s = self.sigma;
        within("--sigma", s, (0.0..=1.0).contains(&s), "a number in [0, 1]")?;
        let rate = self.learning_rate;
        let fits = rate > 0.0 && rate <= 1.0;
        within("--learning-rate", rate, fits, "a number in (0, 1]")?;
        let decay = self.ema_decay;
        let fits = (0.0..1.0).contains(&decay);
        within("--ema", decay, fits, "a number in [0, 1)")?;
        Ok(self)
    }

    /// Rows of a shard, from the batch alone, so that bits do not depend on
    /// threads.
    #[must_use]
    pub fn shard_rows(&self) -> usize {
        (self.batch / 8).clamp(128, 512)
    }

    /// Refuses what would not fit into the memory of an ordinary machine for
    /// data of `dimension` coordinates. A refused allocation ends a program
    /// without a word, so it must not be tried.
    ///
    /// # Errors
    /// The value that is too large, with the limit.
    pub fn affordable(&self, dimension: usize) -> Result<(), Error> {
        let widths = [&[dimension], &self.hidden[..], &[dimension]].concat();
        let pairs = widths.windows(2);
        let weights: usize = pairs.map(|w| w[0].saturating_mul(w[1])).sum();
        // The network, its average, the moments, a checkpoint under way, and a
        // gradient of each shard.
        let most = MOST_WEIGHTS / (16 + self.batch.div_ceil(self.shard_rows()));
        if weights > most {
            let given = format!("a network of {weights} weights");
            let most = format!("at most {most} with a batch of {}", self.batch);
            return Err(Error::argument("--hidden", given, most));
        }
        let most = MOST_NUMBERS / dimension.max(1);
        if self.batch > most {
            let most = format!("at most {most} for points of {dimension} coordinates");
            return Err(Error::argument("--batch", self.batch, most));
        }
        Ok(())
    }

    /// The settings as text by key, for the head of a model file.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let hidden: Vec<String> = self.hidden.iter().map(ToString::to_string).collect();
        let pairs = [
            ("data", self.data.clone()),
            ("coupling", self.coupling.to_string()),
            ("sigma", self.sigma.to_string()),
            ("hidden", hidden.join(",")),
            ("fourier", self.fourier.to_string()),
            ("batch", self.batch.to_string()),
            ("steps", self.steps.to_string()),
            ("seed", self.seed.to_string()),
            ("learning_rate", self.learning_rate.to_string()),
            ("ema_decay", self.ema_decay.to_string()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Reads back what [`to_metadata`](Self::to_metadata) wrote.
    ///
    /// # Errors
    /// What is missing or cannot be read, as text.
    pub fn from_metadata(map: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = |key: &str| {
            let value = map.get(key);
            value.ok_or_else(|| format!("its metadata has no entry {key:?}"))
        };
        fn number<T: FromStr>(key: &str, text: &str) -> Result<T, String> {
            let value = text.parse();
            value.map_err(|_| format!("its metadata entry {key:?} is {text:?}, not a number"))
        }
        let hidden = text("hidden")?.split(',').map(|w| number("hidden", w));
        let settings = Settings {
            data: text("data")?.clone(),
            coupling: text("coupling")?
                .parse()
                .map_err(|e: Error| e.to_string())?,
            sigma: number("sigma", text("sigma")?)?,
            hidden: hidden.collect::<Result<_, _>>()?,
            fourier: number("fourier", text("fourier")?)?,
            batch: number("batch", text("batch")?)?,
            steps: number("steps", text("steps")?)?,
            seed: number("seed", text("seed")?)?,
            learning_rate: number("learning_rate", text("learning_rate")?)?,
            ema_decay: number("ema_decay", text("ema_decay")?)?,
        };
        settings.validated().map_err(|e| e.to_string())
    }
}

/// Largest batch: beyond it a single batch fills gigabytes.
const MOST_ROWS: usize = 1 << 20;
/// Largest batch that is paired by optimal transport: its table of distances
/// is then half a gigabyte.
const MOST_PAIRED: usize = 1 << 13;
/// Most weights in all copies of a network: four gigabytes.
const MOST_WEIGHTS: usize = 1 << 30;
/// Most numbers of a batch.
const MOST_NUMBERS: usize = 1 << 27;
/// Widest layer.
const MOST_WIDTH: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            data: "moons".to_owned(),
            coupling: Name::Ot,
            sigma: 0.1,
            hidden: vec![64, 32],
            fourier: 3,
            batch: 256,
            steps: 1000,
            seed: 7,
            learning_rate: 1e-3,
            ema_decay: 0.999,
        }
    }

    #[test]
    fn metadata_round_trips() {
        let read = Settings::from_metadata(&settings().to_metadata());
        assert_eq!(read.as_ref(), Ok(&settings()));
        let mut map = settings().to_metadata();
        map.insert("batch".to_owned(), "many".to_owned());
        assert!(
            Settings::from_metadata(&map)
                .unwrap_err()
                .contains("\"many\"")
        );
        map.remove("seed");
        map.insert("batch".to_owned(), "1".to_owned());
        assert!(
            Settings::from_metadata(&map)
                .unwrap_err()
                .contains("\"seed\"")
        );
    }

    #[test]
    fn values_out_of_range_are_named() {
        let refused = |change: &dyn Fn(&mut Settings)| {
            let mut s = settings();
            change(&mut s);
            s.validated().unwrap_err().to_string()
        };
        type Change = &'static dyn Fn(&mut Settings);
        let cases: [(Change, &str); 9] = [
            (&|s| s.batch = 8193, "at most 8192 with --coupling ot"),
            (&|s| s.batch = 0, "--batch is 0"),
            (&|s| s.batch = 1 << 30, "--batch is 1073741824"),
            (&|s| s.steps = 0, "--steps is 0"),
            (&|s| s.hidden = vec![], "--hidden is 0 widths"),
            (&|s| s.hidden = vec![5, 0], "--hidden is 0"),
            (&|s| s.sigma = f64::NAN, "--sigma is NaN"),
            (&|s| s.learning_rate = 0.0, "--learning-rate is 0"),
            (&|s| s.ema_decay = 1.0, "--ema is 1"),
        ];
        for (change, piece) in cases {
            let text = refused(change);
            assert!(text.contains(piece), "{text:?} lacks {piece:?}");
        }
        assert!(settings().validated().is_ok());
    }

    #[test]
    fn what_does_not_fit_into_memory_is_named() {
        let wide = Settings {
            hidden: vec![16_384; 3],
            ..settings()
        };
        let text = wide.affordable(2).unwrap_err().to_string();
        assert!(text.contains("536936448 weights"), "{text}");
        assert!(
            text.contains("at most 59652323 with a batch of 256"),
            "{text}"
        );
        let large = Settings {
            batch: 1 << 20,
            coupling: Name::Independent,
            ..settings()
        };
        assert!(large.affordable(64).is_ok());
        let text = large.affordable(3000).unwrap_err().to_string();
        assert!(text.contains("at most 44739 for points of 3000"), "{text}");
    }
}

//! temporary
pub(crate) trait Job {
    type Out;
    fn run(self) -> Self::Out;
}
#[inline]
pub(crate) fn dispatch<J: Job>(job: J) -> J::Out {
    job.run()
}

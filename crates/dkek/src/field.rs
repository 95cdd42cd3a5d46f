//! Arithmetic modulo the prime of a set.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;

/// The integers modulo a number that should be prime.
///
/// All numbers are of the library's secure kind, which it wipes when it frees them.
pub(crate) struct Field {
    modulus: BigNum,
    context: BigNumContext,
}

/// A place and the polynomial's value there.
pub(crate) type Point = (BigNum, BigNum);

impl Field {
    /// The field of this modulus, big-endian.
    pub(crate) fn new(modulus: &[u8]) -> Result<Self, ErrorStack> {
        Ok(Self {
            modulus: number(modulus)?,
            context: BigNumContext::new_secure()?,
        })
    }

    /// The value at `x` of the polynomial with these coefficients, lowest power first.
    pub(crate) fn evaluate(&mut self, coefficients: &[BigNum], x: u8) -> Result<BigNum, ErrorStack> {
        let x = number(&[x])?;
        let mut value = BigNum::new_secure()?;
        for coefficient in coefficients.iter().rev() {
            let mut product = BigNum::new_secure()?;
            product.mod_mul(&value, &x, &self.modulus, &mut self.context)?;
            value.mod_add(&product, coefficient, &self.modulus, &mut self.context)?;
        }
        Ok(value)
    }

    /// The value at `x` of the polynomial of least degree through all points; `None` when there is none, because two places
    /// are the same or the modulus is no prime.
    pub(crate) fn interpolate(
        &mut self,
        points: &[Point],
        x: &BigNumRef,
    ) -> Result<Option<BigNum>, ErrorStack> {
        if self.modulus.num_bits() < 2 {
            return Ok(None);
        }
        let mut sum = BigNum::new_secure()?;
        for (index, (place, value)) in points.iter().enumerate() {
            let mut numerator = number(&[1])?;
            let mut denominator = number(&[1])?;
            for (_, (other, _)) in points.iter().enumerate().filter(|(at, _)| *at != index) {
                numerator = self.times_difference(&numerator, x, other)?;
                denominator = self.times_difference(&denominator, place, other)?;
            }
            let mut inverse = BigNum::new_secure()?;
            if denominator.num_bits() == 0
                || inverse
                    .mod_inverse(&denominator, &self.modulus, &mut self.context)
                    .is_err()
            {
                return Ok(None);
            }
            let mut weight = BigNum::new_secure()?;
            weight.mod_mul(&numerator, &inverse, &self.modulus, &mut self.context)?;
            let mut term = BigNum::new_secure()?;
            term.mod_mul(&weight, value, &self.modulus, &mut self.context)?;
            let mut next = BigNum::new_secure()?;
            next.mod_add(&sum, &term, &self.modulus, &mut self.context)?;
            sum = next;
        }
        Ok(Some(sum))
    }

    /// Degree of the polynomial of least degree through all points, by Newton's divided differences; `None` as for
    /// [`Self::interpolate`].
    pub(crate) fn degree(&mut self, points: &[Point]) -> Result<Option<usize>, ErrorStack> {
        let one = number(&[1])?;
        let mut column = points
            .iter()
            .map(|(_, value)| value.as_ref().to_owned())
            .collect::<Result<Vec<_>, _>>()?;
        let mut degree = 0;
        for distance in 1..points.len() {
            let mut next = Vec::with_capacity(column.len());
            let ends = points.iter().zip(points.iter().skip(distance));
            for ((first, second), ((left, _), (right, _))) in
                column.iter().zip(column.iter().skip(1)).zip(ends)
            {
                let run = self.times_difference(&one, right, left)?;
                let rise = self.times_difference(&one, second, first)?;
                let mut inverse = BigNum::new_secure()?;
                if run.num_bits() == 0
                    || inverse
                        .mod_inverse(&run, &self.modulus, &mut self.context)
                        .is_err()
                {
                    return Ok(None);
                }
                let mut slope = BigNum::new_secure()?;
                slope.mod_mul(&rise, &inverse, &self.modulus, &mut self.context)?;
                next.push(slope);
            }
            if next.first().is_some_and(|leading| leading.num_bits() > 0) {
                degree = distance;
            }
            column = next;
        }
        Ok(Some(degree))
    }

    /// `factor` (`minuend` - `subtrahend`).
    fn times_difference(
        &mut self,
        factor: &BigNumRef,
        minuend: &BigNumRef,
        subtrahend: &BigNumRef,
    ) -> Result<BigNum, ErrorStack> {
        let mut difference = BigNum::new_secure()?;
        difference.mod_sub(minuend, subtrahend, &self.modulus, &mut self.context)?;
        let mut product = BigNum::new_secure()?;
        product.mod_mul(factor, &difference, &self.modulus, &mut self.context)?;
        Ok(product)
    }
}

/// A number from its big-endian bytes.
pub(crate) fn number(bytes: &[u8]) -> Result<BigNum, ErrorStack> {
    let mut number = BigNum::new_secure()?;
    number.copy_from_slice(bytes)?;
    Ok(number)
}

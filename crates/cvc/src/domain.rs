//! EC domain parameters, named or explicit.

use std::sync::Arc;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcPoint};
use openssl::error::ErrorStack;

use crate::curve::{Curve, parameters_of};
use crate::error::KeyError;

/// Domain parameters of an elliptic curve over a prime field, numbers big endian (reference: BSI TR-03110-3 D.3.3).
///
/// Numbers are normalised when taken, so that two values are equal exactly when the parameters are: `a` and `b` are
/// as long as `p`; `p`, `n` and the cofactor have no leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainParameters {
    p: Vec<u8>,
    a: Vec<u8>,
    b: Vec<u8>,
    g: Vec<u8>,
    n: Vec<u8>,
    h: Option<Vec<u8>>,
}

impl DomainParameters {
    /// Takes parameters: prime, both coefficients, base point (`04|x|y`), order, cofactor. Only sizes are checked.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when a number is empty, too long or longer than the prime, or the base point is not
    /// uncompressed.
    pub fn new(p: &[u8], a: &[u8], b: &[u8], g: &[u8], n: &[u8], h: Option<&[u8]>) -> Result<Self, KeyError> {
        let p = significant(p);
        let field_len = p.len();
        if !(MIN_FIELD_LEN..=MAX_FIELD_LEN).contains(&field_len) {
            return Err(KeyError::Malformed {
                what: "length of the prime of the EC domain",
            });
        }
        let n = significant(n);
        if n.is_empty() || n.len() > field_len + 1 {
            return Err(KeyError::Malformed {
                what: "order of the EC domain",
            });
        }
        let h = h.map(significant);
        if h.is_some_and(|h| h.is_empty() || h.len() > field_len) {
            return Err(KeyError::Malformed {
                what: "cofactor of the EC domain",
            });
        }
        let field_element = |value: &[u8], what| padded(value, field_len).ok_or(KeyError::Malformed { what });
        Ok(Self {
            p: p.to_vec(),
            a: field_element(a, "first coefficient of the EC domain")?,
            b: field_element(b, "second coefficient of the EC domain")?,
            g: base_point(g, field_len).ok_or(KeyError::Malformed {
                what: "base point of the EC domain",
            })?,
            n: n.to_vec(),
            h: h.map(<[u8]>::to_vec),
        })
    }

    /// Prime modulus of the field.
    #[must_use]
    pub fn prime(&self) -> &[u8] {
        &self.p
    }

    /// First coefficient, as long as the prime.
    #[must_use]
    pub fn a(&self) -> &[u8] {
        &self.a
    }

    /// Second coefficient, as long as the prime.
    #[must_use]
    pub fn b(&self) -> &[u8] {
        &self.b
    }

    /// Base point, `04|x|y`.
    #[must_use]
    pub fn generator(&self) -> &[u8] {
        &self.g
    }

    /// Order of the base point.
    #[must_use]
    pub fn order(&self) -> &[u8] {
        &self.n
    }

    /// Cofactor, when it was given.
    #[must_use]
    pub fn cofactor(&self) -> Option<&[u8]> {
        self.h.as_deref()
    }

    /// Length in bytes of a coordinate.
    #[must_use]
    pub fn field_len(&self) -> usize {
        self.p.len()
    }

    /// Length in bytes of the order: half of a plain signature.
    #[must_use]
    pub fn order_len(&self) -> usize {
        self.n.len()
    }
}

/// The curve a key lives on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EcDomain {
    /// A named curve.
    Named(Curve),
    /// Parameters that are those of no named curve.
    Explicit(ExplicitDomain),
}

impl EcDomain {
    /// Takes parameters: those of a named curve become that curve, whether or not the cofactor was given. Others are
    /// checked to make up a group of prime order.
    ///
    /// # Errors
    /// [`KeyError::WeakDomain`] naming what is wrong with unknown parameters, [`KeyError::Crypto`] when the crypto
    /// library cannot work with them.
    pub fn from_parameters(mut parameters: DomainParameters) -> Result<Self, KeyError> {
        let without_cofactor = parameters.h.is_none();
        if without_cofactor {
            parameters.h = Some(vec![1]);
        }
        if let Some(curve) = Curve::recognise(&parameters) {
            return Ok(Self::Named(curve));
        }
        if without_cofactor {
            return Err(KeyError::WeakDomain {
                what: "no cofactor is given",
            });
        }
        check_group(&parameters)?;
        Ok(Self::Explicit(ExplicitDomain(Arc::new(parameters))))
    }

    /// Takes the parameters of a group of the crypto library.
    ///
    /// # Errors
    /// As [`EcDomain::from_parameters`].
    pub fn from_group(group: &openssl::ec::EcGroupRef) -> Result<Self, KeyError> {
        if let Some(curve) = group.curve_name().and_then(Curve::from_nid) {
            return Ok(Self::Named(curve));
        }
        // Characteristic two has no components of this form: an error here, not a wrong answer.
        let parameters = parameters_of(group)
            .map_err(KeyError::Crypto)?
            .ok_or(KeyError::Malformed { what: "EC domain" })?;
        Self::from_parameters(parameters)
    }

    /// The named curve, `None` for explicit parameters.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        match self {
            Self::Named(curve) => Some(*curve),
            Self::Explicit(_) => None,
        }
    }

    /// The parameters.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the crypto library was built without this curve.
    pub fn parameters(&self) -> Result<&DomainParameters, KeyError> {
        match self {
            Self::Named(curve) => curve.parameters(),
            Self::Explicit(explicit) => Ok(&explicit.0),
        }
    }

    /// The crypto library's object for this domain.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the crypto library was built without the curve, [`KeyError::Crypto`] when
    /// it cannot work with explicit parameters.
    pub fn group(&self) -> Result<EcGroup, KeyError> {
        match self {
            Self::Named(curve) => curve.group(),
            Self::Explicit(explicit) => explicit_group(&explicit.0).map_err(KeyError::Crypto),
        }
    }

    /// Length in bytes of a coordinate.
    #[must_use]
    pub fn field_len(&self) -> usize {
        match self {
            Self::Named(curve) => curve.field_len(),
            Self::Explicit(explicit) => explicit.0.field_len(),
        }
    }

    /// Length in bytes of the order: half of a plain signature.
    #[must_use]
    pub fn order_len(&self) -> usize {
        match self {
            Self::Named(curve) => curve.field_len(),
            Self::Explicit(explicit) => explicit.0.order_len(),
        }
    }
}

impl From<Curve> for EcDomain {
    fn from(curve: Curve) -> Self {
        Self::Named(curve)
    }
}

impl std::fmt::Display for EcDomain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(curve) => curve.fmt(f),
            Self::Explicit(explicit) => write!(f, "unnamed curve over {} bytes", explicit.0.field_len()),
        }
    }
}

/// Parameters of a curve without a name, checked: prime field, no singular curve, base point on the curve and of
/// prime order nearly as large as the field. Nothing is said about how the curve was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExplicitDomain(Arc<DomainParameters>);

impl ExplicitDomain {
    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &DomainParameters {
        &self.0
    }
}

fn explicit_group(parameters: &DomainParameters) -> Result<EcGroup, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let p = BigNum::from_slice(&parameters.p)?;
    let a = BigNum::from_slice(&parameters.a)?;
    let b = BigNum::from_slice(&parameters.b)?;
    let mut group = EcGroup::from_components(p, a, b, &mut context)?;
    let generator = EcPoint::from_bytes(&group, &parameters.g, &mut context)?;
    let order = BigNum::from_slice(&parameters.n)?;
    let cofactor = BigNum::from_slice(parameters.h.as_deref().unwrap_or(&[1]))?;
    group.set_generator(generator, order, cofactor)?;
    Ok(group)
}

/// Refuses parameters on which signatures would mean nothing.
fn check_group(parameters: &DomainParameters) -> Result<(), KeyError> {
    let weak = |what| Err(KeyError::WeakDomain { what });
    match describe_weakness(parameters).map_err(KeyError::Crypto)? {
        Some(what) => weak(what),
        None => Ok(()),
    }
}

fn describe_weakness(parameters: &DomainParameters) -> Result<Option<&'static str>, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let p = BigNum::from_slice(&parameters.p)?;
    let n = BigNum::from_slice(&parameters.n)?;
    // Even numbers go first: the library's modular arithmetic wants odd moduli.
    if !p.is_odd() || !p.is_prime(PRIME_ROUNDS, &mut context)? {
        return Ok(Some("the field modulus is not an odd prime"));
    }
    if !n.is_odd() || !n.is_prime(PRIME_ROUNDS, &mut context)? {
        return Ok(Some("the order of the base point is not an odd prime"));
    }
    if n == p {
        return Ok(Some("the order equals the field modulus"));
    }
    if n.num_bits() + MAX_COFACTOR_BITS < p.num_bits() {
        return Ok(Some("the order of the base point is small"));
    }
    let a = BigNum::from_slice(&parameters.a)?;
    let b = BigNum::from_slice(&parameters.b)?;
    if a >= p || b >= p {
        return Ok(Some("a coefficient is not below the field modulus"));
    }
    if is_singular(&a, &b, &p, &mut context)? {
        return Ok(Some("the curve is singular"));
    }
    // Without its generator the group makes no assumption about the order, so that n G is really computed.
    let bare = EcGroup::from_components(p, a, b, &mut context)?;
    let Ok(generator) = EcPoint::from_bytes(&bare, &parameters.g, &mut context) else {
        return Ok(Some("the base point is not on the curve"));
    };
    let mut product = EcPoint::new(&bare)?;
    product.mul2(&bare, &generator, &n, &mut context)?;
    if !product.is_infinity(&bare) {
        return Ok(Some("the order is not that of the base point"));
    }
    if explicit_group(parameters).is_err() {
        return Ok(Some("order or cofactor are out of range"));
    }
    Ok(None)
}

/// Whether 4a^3 + 27b^2 is zero modulo p.
fn is_singular(a: &BigNum, b: &BigNum, p: &BigNum, context: &mut BigNumContext) -> Result<bool, ErrorStack> {
    let (mut square, mut cube) = (BigNum::new()?, BigNum::new()?);
    square.mod_sqr(a, p, context)?;
    cube.mod_mul(&square, a, p, context)?;
    cube.mul_word(4)?;
    square.mod_sqr(b, p, context)?;
    square.mul_word(27)?;
    let mut sum = BigNum::new()?;
    sum.mod_add(&cube, &square, p, context)?;
    Ok(sum.num_bits() == 0)
}

/// A base point with its coordinates brought to `field_len` bytes: leading zeros of a field written too wide go.
fn base_point(point: &[u8], field_len: usize) -> Option<Vec<u8>> {
    let (0x04, coordinates) = point.split_first().map(|(form, rest)| (*form, rest))? else {
        return None;
    };
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
    if x.len() != y.len() {
        return None;
    }
    let mut normal = vec![0x04];
    normal.extend(padded(x, field_len)?);
    normal.extend(padded(y, field_len)?);
    Some(normal)
}

/// A number without its leading zeros.
pub(crate) fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A number in exactly `len` bytes; `None` when it is larger.
pub(crate) fn padded(number: &[u8], len: usize) -> Option<Vec<u8>> {
    let number = significant(number);
    let mut out = vec![0; len.checked_sub(number.len())?];
    out.extend_from_slice(number);
    Some(out)
}

/// 160 bits, and up to what the largest devices know with room.
const MIN_FIELD_LEN: usize = 20;
const MAX_FIELD_LEN: usize = 80;
const MAX_COFACTOR_BITS: i32 = 8;
/// Enough for an error below 2^-80 whoever chose the number.
const PRIME_ROUNDS: i32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn p256() -> DomainParameters {
        Curve::Secp256r1.parameters().unwrap().clone()
    }

    fn weakness(parameters: DomainParameters) -> &'static str {
        match EcDomain::from_parameters(parameters).unwrap_err() {
            KeyError::WeakDomain { what } => what,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn leading_zeros_and_a_missing_cofactor_make_no_other_curve() {
        let known = p256();
        let wide = |number: &[u8]| [&[0, 0], number].concat();
        let parameters = DomainParameters::new(
            &wide(&known.p),
            significant(&known.a),
            &wide(&known.b),
            &known.g,
            &wide(&known.n),
            None,
        )
        .unwrap();
        assert_eq!(
            EcDomain::from_parameters(parameters).unwrap(),
            EcDomain::Named(Curve::Secp256r1)
        );
    }

    #[test]
    fn another_base_point_is_another_curve() {
        let group = Curve::Secp256r1.group().unwrap();
        let mut context = BigNumContext::new().unwrap();
        let mut point = EcPoint::new(&group).unwrap();
        point
            .mul_generator2(&group, &BigNum::from_u32(7).unwrap(), &mut context)
            .unwrap();
        let mut parameters = p256();
        parameters.g = point
            .to_bytes(
                &group,
                openssl::ec::PointConversionForm::UNCOMPRESSED,
                &mut context,
            )
            .unwrap();
        let domain = EcDomain::from_parameters(parameters.clone()).unwrap();
        assert_eq!(domain.curve(), None);
        assert_eq!(domain.parameters().unwrap(), &parameters);
        assert_eq!(domain.order_len(), 32);
        domain.group().unwrap();
    }

    #[test]
    fn weak_parameters_are_refused_by_name() {
        let mut parameters = p256();
        *parameters.p.last_mut().unwrap() -= 1;
        assert_eq!(weakness(parameters), "the field modulus is not an odd prime");
        let mut parameters = p256();
        *parameters.n.last_mut().unwrap() ^= 2;
        assert_eq!(
            weakness(parameters),
            "the order of the base point is not an odd prime"
        );
        let mut parameters = p256();
        parameters.n.clone_from(&parameters.p);
        assert_eq!(weakness(parameters), "the order equals the field modulus");
        let mut parameters = p256();
        parameters.n = vec![7];
        assert_eq!(weakness(parameters), "the order of the base point is small");
        let mut parameters = p256();
        *parameters.g.last_mut().unwrap() ^= 1;
        assert_eq!(weakness(parameters), "the base point is not on the curve");
        // Another prime of the right size is not the order.
        let mut parameters = p256();
        parameters.n = Curve::BrainpoolP256r1.parameters().unwrap().n.clone();
        assert_eq!(weakness(parameters), "the order is not that of the base point");
        let mut parameters = p256();
        (parameters.a, parameters.b) = (vec![0; 32], vec![0; 32]);
        assert_eq!(weakness(parameters), "the curve is singular");
        let mut parameters = p256();
        parameters.a = vec![0xFF; 32];
        assert_eq!(
            weakness(parameters),
            "a coefficient is not below the field modulus"
        );
    }
}

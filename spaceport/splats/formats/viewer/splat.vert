#version 300 es
// One Gaussian as a quad: SOG's images are decoded here, the covariance projected as in EWA splatting (Zwicker et al. 2001).
precision highp float;
precision highp int;
layout(location = 0) in vec2 corner;  // -1 or 1
layout(location = 1) in uint index;
uniform sampler2D lows, highs, quats, sizes, base, labels, palette, books;  // books: 256 x 3, of size, colour and SH
uniform vec3 low, high, eye;
uniform mat3 turn;  // world to camera: x right, y down, z forward
uniform vec2 focal, screen;
uniform bool antialiased;  // trained with opacities that make up for the blur
uniform int coefficients;  // SH coefficients a channel: 0, 3, 8 or 15
out vec4 colour;
out vec2 offset;  // in standard deviations

const float BLUR = 0.3, NEAR = 0.01, MOST = 0.999, LEAST = 1.0 / 255.0;

ivec4 bytes(sampler2D image, ivec2 at) { return ivec4(texelFetch(image, at, 0) * 255.0 + 0.5); }
float book(int row, int entry) { return texelFetch(books, ivec2(entry, row), 0).r; }
vec3 book(int row, ivec3 entry) { return vec3(book(row, entry.x), book(row, entry.y), book(row, entry.z)); }

mat3 rotation(ivec4 code) {
  vec3 rest = (vec3(code.xyz) / 255.0 - 0.5) * sqrt(2.0);
  float most = sqrt(max(0.0, 1.0 - dot(rest, rest)));
  int mode = code.w - 252;
  vec4 q = mode == 0 ? vec4(most, rest) : mode == 1 ? vec4(rest.x, most, rest.yz) : mode == 2 ? vec4(rest.xy, most, rest.z) : vec4(rest, most);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
              2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
              2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

vec3 entry(int label, int k) {
  return book(2, bytes(palette, ivec2((label & 63) * coefficients + k, label >> 6)).rgb);
}

vec3 bands(ivec2 at, vec3 d) {
  ivec4 code = bytes(labels, at);
  int n = code.r + (code.g << 8);
  float x = d.x, y = d.y, z = d.z, xx = x * x, yy = y * y, zz = z * z;
  vec3 sum = 0.4886025119029199 * (-y * entry(n, 0) + z * entry(n, 1) - x * entry(n, 2));
  if (coefficients > 3) {
    sum += 1.0925484305920792 * (x * y * entry(n, 3) - y * z * entry(n, 4) - x * z * entry(n, 6))
         + 0.31539156525252005 * (2.0 * zz - xx - yy) * entry(n, 5) + 0.5462742152960396 * (xx - yy) * entry(n, 7);
  }
  if (coefficients > 8) {
    sum += -0.5900435899266435 * (y * (3.0 * xx - yy) * entry(n, 8) + x * (xx - 3.0 * yy) * entry(n, 14))
         + 2.890611442640554 * x * y * z * entry(n, 9) + 1.445305721320277 * z * (xx - yy) * entry(n, 13)
         - 0.4570457994644658 * (4.0 * zz - xx - yy) * (y * entry(n, 10) + x * entry(n, 12))
         + 0.3731763325901154 * z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * entry(n, 11);
  }
  return sum;
}

void main() {
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // outside, unless it is found visible
  int width = textureSize(lows, 0).x;
  ivec2 at = ivec2(int(index) % width, int(index) / width);
  vec3 share = vec3(bytes(lows, at).rgb + bytes(highs, at).rgb * 256) / 65535.0;
  vec3 logs = mix(low, high, share);
  vec3 mean = sign(logs) * (exp(abs(logs)) - 1.0);
  vec3 seen = turn * (mean - eye);
  ivec4 tint = bytes(base, at);
  float opacity = float(tint.a) / 255.0;
  if (seen.z < NEAR) return;

  vec2 edge = 0.65 * screen / focal;  // beyond 1.3 times the field of view the Jacobian runs wild
  vec2 ratio = clamp(seen.xy / seen.z, -edge, edge);
  mat3x2 jacobian = mat3x2(focal.x / seen.z, 0.0, 0.0, focal.y / seen.z, -focal * ratio / seen.z);
  vec3 size = exp(book(0, bytes(sizes, at).rgb));
  mat3 axes = turn * rotation(bytes(quats, at));
  mat3x2 v = jacobian * mat3(axes[0] * size.x, axes[1] * size.y, axes[2] * size.z);
  mat2 cov = v * transpose(v);
  float a = cov[0][0] + BLUR, b = cov[0][1], c = cov[1][1] + BLUR;
  if (antialiased) opacity *= sqrt(max(0.0, determinant(cov) / (a * c - b * b)));
  if (opacity < LEAST) return;
  float middle = 0.5 * (a + c), apart = length(vec2(0.5 * (a - c), b));
  vec2 spread = sqrt(vec2(middle + apart, max(middle - apart, 0.1)));
  vec2 axis = apart < 1e-6 ? vec2(1.0, 0.0) : abs(b) < 1e-6 * apart ? (a > c ? vec2(1.0, 0.0) : vec2(0.0, 1.0))
                                            : normalize(vec2(b, middle + apart - a));
  offset = corner * sqrt(2.0 * log(opacity / LEAST));  // as far as the eye can tell
  vec2 pixel = focal * seen.xy / seen.z + axis * spread.x * offset.x + vec2(axis.y, -axis.x) * spread.y * offset.y;
  gl_Position = vec4(2.0 * pixel / screen * vec2(1.0, -1.0), 0.0, 1.0);

  vec3 rgb = 0.5 + 0.28209479177387814 * book(1, tint.rgb);
  if (coefficients > 0) rgb += bands(at, normalize(mean - eye));
  colour = vec4(max(rgb, 0.0), opacity);
}

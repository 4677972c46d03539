/**
 * Colour maps as tables of 256 colours: viridis for magnitudes, twilight for phases (cyclic: both ends meet).
 *
 * The numbers are sampled from the published tables, both in the public domain (CC0): viridis by Nathaniel Smith,
 * Stéfan van der Walt and Eric Firing; twilight by Bastian Bechtold (510 entries, resampled to 256).
 *
 * @example
 * colourAt(VIRIDIS, 1); // [253, 231, 37]
 */

/** 256 colours, red-green-blue bytes one after another. */
export interface Colormap {
  readonly name: string;
  /** True when the last colour meets the first, as an angle needs it. */
  readonly cyclic: boolean;
  readonly rgb: Uint8Array;
}

/** The colour at a position from 0 to 1; positions outside are clamped, or wrapped in a cyclic map. */
export function colourAt(map: Colormap, position: number): [number, number, number] {
  const index = indexAt(map, position);
  return [map.rgb[3 * index], map.rgb[3 * index + 1], map.rgb[3 * index + 2]];
}

/** The table row at a position from 0 to 1; see {@link colourAt}. */
export function indexAt(map: Colormap, position: number): number {
  if (map.cyclic) return Math.floor((position - Math.floor(position)) * 256) & 255;
  return Math.min(255, Math.max(0, Math.floor(position * 256)));
}

function fromHex(name: string, cyclic: boolean, lines: readonly string[]): Colormap {
  return {
    name,
    cyclic,
    rgb: Uint8Array.from(lines.join('').match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)),
  };
}

/** Black to white. */
export const GRAY: Colormap = {
  name: 'gray',
  cyclic: false,
  rgb: Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)),
};

/** Dark violet to yellow, evenly rising in lightness. */
export const VIRIDIS: Colormap = fromHex('viridis', false, [
  '44015444025645045745055946075a46085c460a5d460b5e470d60470e61471063471164471365481467481668481769',
  '48186a481a6c481b6d481c6e481d6f481f70482071482173482374482475482576482677482878482979472a7a472c7a',
  '472d7b472e7c472f7d46307e46327e46337f463480453581453781453882443983443a83443b84433d84433e85423f85',
  '4240864241864142874144874045884046883f47883f48893e49893e4a893e4c8a3d4d8a3d4e8a3c4f8a3c508b3b518b',
  '3b528b3a538b3a548c39558c39568c38588c38598c375a8c375b8d365c8d365d8d355e8d355f8d34608d34618d33628d',
  '33638d32648e32658e31668e31678e31688e30698e306a8e2f6b8e2f6c8e2e6d8e2e6e8e2e6f8e2d708e2d718e2c718e',
  '2c728e2c738e2b748e2b758e2a768e2a778e2a788e29798e297a8e297b8e287c8e287d8e277e8e277f8e27808e26818e',
  '26828e26828e25838e25848e25858e24868e24878e23888e23898e238a8d228b8d228c8d228d8d218e8d218f8d21908d',
  '21918c20928c20928c20938c1f948c1f958b1f968b1f978b1f988b1f998a1f9a8a1e9b8a1e9c891e9d891f9e891f9f88',
  '1fa0881fa1881fa1871fa28720a38620a48621a58521a68522a78522a88423a98324aa8325ab8225ac8226ad8127ad81',
  '28ae8029af7f2ab07f2cb17e2db27d2eb37c2fb47c31b57b32b67a34b67935b77937b87838b9773aba763bbb753dbc74',
  '3fbc7340bd7242be7144bf7046c06f48c16e4ac16d4cc26c4ec36b50c46a52c56954c56856c66758c7655ac8645cc863',
  '5ec96260ca6063cb5f65cb5e67cc5c69cd5b6ccd5a6ece5870cf5773d05675d05477d1537ad1517cd2507fd34e81d34d',
  '84d44b86d54989d5488bd6468ed64590d74393d74195d84098d83e9bd93c9dd93ba0da39a2da37a5db36a8db34aadc32',
  'addc30b0dd2fb2dd2db5de2bb8de29bade28bddf26c0df25c2df23c5e021c8e020cae11fcde11dd0e11cd2e21bd5e21a',
  'd8e219dae319dde318dfe318e2e418e5e419e7e419eae51aece51befe51cf1e51df4e61ef6e620f8e621fbe723fde725',
]);

/** Cyclic, light at both ends and dark in the middle: an angle of ±π is light, 0 is dark. */
export const TWILIGHT: Colormap = fromHex('twilight', true, [
  'e2d9e2e1d9e2e0d9e2ded9e1ddd9e0dcd9dfdad8dfd8d8ded6d7ddd4d6dcd2d5dbd0d4dacdd3d8cbd2d7c8d1d6c5cfd5',
  'c2ced4c0cdd3bdcbd2bacad0b7c8cfb4c7ceb0c5cdadc3cdaac2cca7c0cba4bfcaa2bdc99fbbc99cb9c899b8c896b6c7',
  '94b4c791b3c68fb1c68cafc58aadc587abc485a9c483a8c481a6c37ea4c37ca2c37aa0c2799ec2779cc2759ac17398c1',
  '7296c17094c06f92c06d90c06c8ebf6b8cbf6a8abf6988be6886be6784be6682bd6580bd647ebc647cbc6379bb6277bb',
  '6275ba6173ba6171b9616eb8606cb8606ab76068b66065b65f63b55f61b45f5eb35f5cb25f5ab15f57b05f55af5e53ae',
  '5e50ac5e4eab5e4baa5e49a85e47a75e44a55d42a45d3fa25d3da05d3a9e5c389d5c369a5c33985b31965b2f945a2c91',
  '592a8f59288c582689572487562284552081541e7d531d7a511b77501a734f18704d176d4b16694a156648156246145f',
  '45135c4313594112554012523e114f3c114d3b114a39114738114537114336114134113f33113d32123b31123a301338',
  '2f143631133732123733123734123836113837113939113a3a113a3c113b3e113c40123d42123e44123f471240491341',
  '4b13424e14435014445315455515465816475a16485d174960184a62184b65194c681a4c6a1a4d6d1b4e701c4e721d4f',
  '751e4f771f4f7a20507c21507f22508124508325508626508828508a29508d2b508f2d50912e50933050953250973450',
  '9935509b37509c39509e3b50a03d50a23f50a34150a54350a74550a84750aa4a50ab4c50ad4e51ae5051b05251b15552',
  'b25752b45953b55b53b65e54b76055b86255ba6556bb6757bc6958bd6c59be6e5abe715cbf735dc0755ec17860c27a61',
  'c37d63c37f65c48266c58468c5876ac6896dc78b6fc78e71c89073c89376c99578c9987bca9a7eca9d81cb9f83cca186',
  'cca489cda68ccda890ceab93cfad96cfaf99d0b29dd1b4a0d2b6a3d2b8a7d3bbaad4bdaed5bfb1d6c1b5d7c3b8d8c5bb',
  'd9c7bfd9c9c2dacbc5dbccc8dccecbddd0ceddd1d1ded3d3dfd4d6dfd5d8e0d6dae0d7dbe1d8dde1d8dfe2d9e0e2d9e1',
]);

/**
 * The colour of a complex value: hue from its phase (radians), brightness from its amplitude (0 … 1, clamped). Lightness and
 * chroma of OKLCH rise with the amplitude alone, so that equal amplitudes look equally bright in all hues.
 */
export function complexColour(amplitude: number, phase: number): [number, number, number] {
  const level = Math.min(1, Math.max(0, amplitude));
  const [lightness, chroma] = [0.78 * level ** 0.75, 0.125 * level ** 0.75];
  const [a, b] = [chroma * Math.cos(phase), chroma * Math.sin(phase)];
  // B. Ottosson, "A perceptual color space for image processing", 2020.
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((v) => {
    const within = Math.min(1, Math.max(0, v));
    return Math.round(255 * (within <= 0.0031308 ? 12.92 * within : 1.055 * within ** (1 / 2.4) - 0.055));
  }) as [number, number, number];
}

/** The hues of `complexColour` at full amplitude, from −π to π. */
export const HUES: Colormap = {
  name: 'hues',
  cyclic: true,
  rgb: Uint8Array.from(
    Array.from({ length: 256 }, (_, k) => complexColour(1, (2 * Math.PI * k) / 256 - Math.PI)).flat(),
  ),
};

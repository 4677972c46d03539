/** The metadata record: parsed, compared, continued. */

import { describe, expect, it } from 'vitest';
import {
  checkMetadata,
  configurationValues,
  domainOf,
  geometryOf,
  geometryRecord,
  nphotonsOf,
  parseMetadata,
  withDomain,
  withSection,
  withTransformation,
} from '../../src/data/metadata.js';
import fc from '../support/fastCheck.js';

const record = {
  schema_version: '1.0.0',
  creation_info: { script: 'make.py' },
  physics_parameters: { nphotons: 1e6, N: 64, gridsize: 2 },
  data_transformations: [{ tool: 'old', timestamp: '2020-01-01T00:00:00Z', operation: 'crop', parameters: {} }],
};

describe('a metadata record', () => {
  it('is a JSON object, or the problem is named', () => {
    expect(parseMetadata(JSON.stringify(record))).toEqual({ record });
    expect(parseMetadata('{"a": ')).toEqual({ problem: expect.stringMatching(/^holds no JSON \(/) });
    for (const text of ['[1]', '3', 'null', '"text"']) {
      expect(parseMetadata(text)).toEqual({ problem: 'holds JSON that is no object' });
    }
  });

  it('gives photons to the configuration when they are a positive number', () => {
    expect(nphotonsOf(record)).toBe(1e6);
    expect(configurationValues(record)).toEqual({ nphotons: 1e6 });
    for (const nphotons of [0, -1, '1e6', null, undefined]) {
      expect(nphotonsOf({ physics_parameters: { nphotons } })).toBeUndefined();
    }
    for (const broken of [{}, { physics_parameters: null }, { physics_parameters: [1] }, { physics_parameters: 'x' }]) {
      expect(configurationValues(broken)).toEqual({ nphotons: undefined });
    }
  });

  it('is compared with what is used, to 1e-9 for photons', () => {
    expect(checkMetadata(record, { nphotons: 1e6 + 1e-10, N: 64, gridsize: 2 }, 'a.npz')).toEqual([]);
    expect(checkMetadata(record, { nphotons: 1e9, N: 128, gridsize: 1 }, 'a.npz')).toEqual([
      'The metadata of a.npz say nphotons 1000000, but 1000000000 is used.',
      'The metadata of a.npz say N 64, but 128 is used.',
      'The metadata of a.npz say gridsize 2, but 1 is used.',
    ]);
    expect(checkMetadata({}, { nphotons: 1, N: 64 }, 'a.npz')).toEqual([]);
  });

  it('grows at the end of its history and keeps the rest', () => {
    const step = { tool: 'ptychopinn convert', operation: 'convert', timestamp: '2026-01-01T00:00:00.000Z' };
    const after = withTransformation(record, { ...step, parameters: { side: 64 } });
    expect(after).toEqual({
      ...record,
      data_transformations: [...record.data_transformations, { ...step, parameters: { side: 64 } }],
    });
    expect(withTransformation({}, step)).toEqual({
      schema_version: '1.0.0',
      data_transformations: [{ ...step, parameters: {} }],
    });
    // A history that is no list is nobody's history.
    expect(withTransformation({ data_transformations: 'x' }, step).data_transformations).toHaveLength(1);
    const [{ timestamp }] = withTransformation({}, { tool: 't', operation: 'o' }).data_transformations as [
      { timestamp: string },
    ];
    expect(new Date(timestamp).toISOString()).toBe(timestamp);
    expect(record.data_transformations).toHaveLength(1);
  });

  it('may declare a measurement domain in three places, which is kept true', () => {
    expect(domainOf(record)).toBeUndefined();
    for (const [place, key] of [
      [{ measurement_domain: 'a' }, 'measurement_domain'],
      [{ physics_parameters: { measurement_domain: 'a', N: 1 } }, 'physics_parameters.measurement_domain'],
      [{ additional_parameters: { measurement_domain: 'a' } }, 'additional_parameters.measurement_domain'],
    ] as const) {
      expect(domainOf(place)).toEqual({ text: 'a', key });
      expect(domainOf(withDomain(place, 'b'))).toEqual({ text: 'b', key });
      expect(withDomain(place, 'a')).toBe(place);
    }
    expect(withDomain(record, 'b')).toBe(record);
    expect(withDomain({ physics_parameters: { measurement_domain: 'a', N: 1 } }, 'b').physics_parameters).toEqual({
      measurement_domain: 'b',
      N: 1,
    });
  });

  it('carries the geometry there and back', () => {
    const length = fc.option(fc.double({ min: 1e-12, max: 1e6, noNaN: true }), { nil: undefined });
    const pair = fc.option(
      fc.record({
        x: fc.double({ min: 1e-12, max: 1, noNaN: true }),
        y: fc.double({ min: 1e-12, max: 1, noNaN: true }),
      }),
      { nil: undefined },
    );
    fc.assert(
      fc.property(length, length, pair, pair, (energy_eV, detectorDistance_m, detectorPixel_m, objectPixel_m) => {
        const geometry = { energy_eV, detectorDistance_m, detectorPixel_m, objectPixel_m };
        const text = JSON.stringify(withSection({}, 'additional_parameters', { geometry: geometryRecord(geometry) }));
        expect(geometryOf(JSON.parse(text))).toEqual(geometry);
      }),
    );
    const broken = { energy_eV: -1, detector_distance_m: '2', detector_pixel_m: [1], object_pixel_m: [1, 0] };
    expect(geometryOf({ additional_parameters: { geometry: broken } })).toEqual({
      energy_eV: undefined,
      detectorDistance_m: undefined,
      detectorPixel_m: undefined,
      objectPixel_m: undefined,
    });
    expect(geometryOf({ additional_parameters: { geometry: null } })).toEqual({});
  });
});

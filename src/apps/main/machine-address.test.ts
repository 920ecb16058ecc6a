import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InterfaceAddress, machineAddress } from './machine-address.ts';

const address = (text: string, internal = false, family = 'IPv4'): InterfaceAddress => ({
  address: text,
  netmask: family === 'IPv4' ? '255.255.255.0' : 'ffff::',
  family,
  internal,
});

test('the address of the machine is the one in the network of its hub', () => {
  const own = [
    address('127.0.0.1', true),
    address('fe80::1', false, 'IPv6'),
    address('10.0.0.7'),
    address('192.0.2.20'),
  ];
  const at = (host: string): string => machineAddress({ host, port: 7444 }, own);
  assert.equal(at('192.0.2.10'), '192.0.2.20');
  assert.equal(at('203.0.113.5'), '10.0.0.7');
  assert.equal(at('hub.example.org'), '10.0.0.7');
  assert.equal(at('127.0.0.1'), '127.0.0.1');
  assert.equal(at('localhost'), '127.0.0.1');
  assert.equal(machineAddress({ host: '192.0.2.10', port: 1 }, own.slice(0, 2)), '127.0.0.1');
});

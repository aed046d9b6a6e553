import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { ownByUnprivileged } from './folder.ts'
import type { Settings } from './postgres.ts'

/** Signed by itself, for these names alone; files of the unprivileged user in `folder`. */
export function makeCertificate(
  folder: string,
  name: string,
  hosts: readonly string[],
): { readonly certificate: string; readonly key: string } {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  const names = hosts.map((host) => `DNS:${host}`).join()
  const subject = ['-subj', `/CN=${hosts[0]}`, '-addext', `subjectAltName=${names}`]
  const command = ['req', '-new', '-x509', '-days', '2', '-nodes', '-newkey', 'rsa:2048']
  const files = ['-keyout', key, '-out', certificate]
  execFileSync('openssl', [...command, ...subject, ...files], { stdio: 'ignore' })
  chmodSync(key, 0o600)
  ownByUnprivileged(key)
  chmodSync(certificate, 0o644)
  return { certificate, key }
}

/** For a server that shows it, and keeps passwords as `scram-sha-256`. */
export function tlsSettings(files: ReturnType<typeof makeCertificate>): Settings {
  return {
    ssl: true,
    ssl_cert_file: files.certificate,
    ssl_key_file: files.key,
    password_encryption: 'scram-sha-256',
  }
}

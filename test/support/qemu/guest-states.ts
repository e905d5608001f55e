// SPDX-License-Identifier: Apache-2.0
//
// What happens to a guest beside its disk: it is saved to a file, migrated, and goes on.

import { expect } from 'vitest'
import type { QmpClient } from './qmp-client.mjs'

/** Until the guest is in that state. */
export async function untilStatus(client: QmpClient, status: string): Promise<void> {
  await expect.poll(() => client.execute('query-status'), { interval: 20 }).toMatchObject({ status })
}

/** Saves the guest, as 'virsh save' does: its images are inactive from then on. */
export async function save(client: QmpClient): Promise<void> {
  await client.execute('migrate', { uri: 'exec:cat >/dev/null' })
  await untilStatus(client, 'postmigrate')
}

/** Begins a migration that does not get on until it is cancelled. */
export async function beginSlowMigration(client: QmpClient): Promise<void> {
  await client.execute('migrate-set-parameters', { 'max-bandwidth': 4096 })
  await client.execute('migrate', { uri: 'exec:cat >/dev/null' })
  await expect.poll(() => client.execute('query-migrate'), { interval: 20 }).toMatchObject({ status: 'active' })
}

export async function cancelMigration(client: QmpClient): Promise<void> {
  await client.execute('migrate_cancel')
  await expect.poll(() => client.execute('query-migrate'), { interval: 20 }).toMatchObject({ status: 'cancelled' })
}

// What the server says of itself, asked for once.

import { useQuery } from '@tanstack/react-query';
import type { Site } from '../api/documents.js';
import { ask } from '../api/http.js';

export function useSite() {
  return useQuery({
    queryKey: ['site'],
    queryFn: async () => (await ask<Site>('/v1/site')).body,
    staleTime: Infinity,
  });
}
